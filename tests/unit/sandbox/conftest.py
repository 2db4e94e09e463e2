"""A gateway driven by hand: no socket, and a clock that moves only when told."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from deploy.sandbox.carrier import carrier_gateway
from deploy.sandbox.exchange import NO_ANSWER, SECOND, Effect, Event, Reply, Request
from deploy.sandbox.gateway import Gateway
from deploy.sandbox.journal import Journal
from deploy.sandbox.psp import psp_gateway

START = 1_795_392_000 * SECOND
ORDINARY_ICCID = "8934071100000000017"


class Driver:
    """Calls a gateway and collects what came of it, in a journal too if it is given one."""

    def __init__(self, gateway: Gateway, journal: Journal | None = None) -> None:
        self.gateway = gateway
        self.journal = journal
        self.now = START
        self.effects: list[Effect] = []
        self.events: list[Event] = []

    def call(self, method: str, target: str, document: Any = None, key: str | None = None) -> Reply:
        body = b"" if document is None else document if type(document) is bytes else orjson.dumps(document)
        request = Request(method, target, key, body)
        outcome = self.gateway.answer(request, self.now)
        if self.journal is not None:
            self.journal.note_request(request, outcome, self.now)
        self._collect(self.gateway.taken_effects())
        return outcome.reply

    def post(self, target: str, document: Any = None, key: str | None = None) -> Reply:
        return self.call("POST", target, document, key)

    def get(self, target: str) -> dict[str, Any]:
        return seen(self.call("GET", target))

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self._collect(self.gateway.advance(self.now))

    def effect_names(self) -> list[str]:
        return [effect.effect for effect in self.effects]

    def fault(self, operation: str, behaviour: str, **more: Any) -> None:
        rule = {"operation": operation, "behaviour": behaviour} | more
        assert self.call("PUT", "/faults", [rule]).status == 200

    def _collect(self, effects: list[Effect]) -> None:
        self.effects += effects
        self.events += self.gateway.taken_events()
        if self.journal is not None:
            for effect in effects:
                self.journal.note_effect(effect)


class PspDriver(Driver):
    def intent(self, card: str | None = "tok_ok", renewal_id: str = "r-1", **more: Any) -> str:
        document = {
            "amount_minor": 500,
            "currency": "EUR",
            "payment_method": card,
            "metadata": {"renewal_id": renewal_id},
        }
        reply = self.post("/v1/payment_intents", document | more, key=more.get("key"))
        return str(seen(reply)["id"])

    def confirm(self, intent_id: str, token: str | None = None, key: str | None = None) -> Reply:
        document = {} if token is None else {"payment_method": token}
        return self.post(f"/v1/payment_intents/{intent_id}/confirm", document, key)

    def status(self, intent_id: str) -> str:
        return str(self.get(f"/v1/payment_intents/{intent_id}")["status"])

    def refund(self, intent_id: str, amount_minor: int = 500, key: str | None = None) -> Reply:
        return self.post("/v1/refunds", {"payment_intent": intent_id, "amount_minor": amount_minor}, key)


class CarrierDriver(Driver):
    def topup(
        self, iccid: str = ORDINARY_ICCID, reference: str = "r-1", key: str | None = None, **more: Any
    ) -> Reply:
        document = {
            "iccid": iccid,
            "reference": reference,
            "data_bytes": 1_000,
            "validity_seconds": 3_600,
            "stacking": "extend",
            "product_code": "cu-1",
        }
        return self.post("/v1/topups", document | more, key)

    def cancel(self, reference: str = "r-1", key: str | None = None) -> Reply:
        return self.post("/v1/topup-cancellations", {"reference": reference}, key)

    def found(self, reference: str = "r-1") -> list[dict[str, Any]]:
        return list(self.get(f"/v1/topups?reference={reference}")["data"])


def seen(reply: Reply) -> dict[str, Any]:
    """What the client reads, if it gets an answer."""
    assert reply.hold_us != NO_ANSWER, "the client got no answer"
    document = orjson.loads(reply.body)
    assert isinstance(document, dict)
    return document


@pytest.fixture
def psp() -> PspDriver:
    driver = PspDriver(psp_gateway("5a17"))
    driver.gateway.state.events_wanted = True
    return driver


@pytest.fixture
def carrier() -> CarrierDriver:
    return CarrierDriver(carrier_gateway("5a17"))
