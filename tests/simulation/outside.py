"""The PSP and the carrier: the sandbox's own state machines, asked over a network in memory.

A request that was written arrives whatever becomes of its sender, and is answered whether or not somebody
still waits. What was really done stands in `effects`: the truth that the promises are checked against.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import orjson

from deploy.sandbox.exchange import NO_ANSWER, SECOND, Effect, Reply, Request
from deploy.sandbox.gateway import Gateway
from deploy.sandbox.state import NEVER
from deploy.sandbox.webhooks import Delivery, deliveries
from shared.calls.http_client import HttpAnswer, HttpClient, Unanswered
from tests.simulation.timeline import BEGINNING, Life, VirtualLoop

_EPOCH_US: Final = int(BEGINNING.timestamp()) * SECOND


class Asked(NamedTuple):
    """A request that arrived, and what it was answered; `status` None: nothing was sent."""

    at: datetime
    operation: str
    key: str | None
    reference: str | None
    status: int | None
    behaviour: str
    replayed: bool


class Network(Protocol):
    """What happens to requests on their way."""

    async def sending(self, life: Life, reference: str | None) -> tuple[float, bool]:
        """Just before the request is written: how long it is on its way, and whether its answer is lost.

        Raises:
            NotSent: there is no connection.
        """

    async def answered(self, life: Life, reference: str | None) -> None:
        """The answer is here, nothing was done with it yet."""


class Server:
    """One of the sandbox's gateways, awake whenever something falls due in it."""

    def __init__(
        self,
        gateway: Gateway,
        loop: VirtualLoop,
        deliver: Callable[[Delivery], None],
        strike: Callable[[str, str, tuple[str, ...]], None],
    ) -> None:
        """`strike` is told of every misbehaviour: its kind, who misbehaves, and about which renewal."""
        self.gateway = gateway
        self._strike = strike
        self.tell: Callable[[str, str], None] = lambda _who, _what: None
        self.effects: list[Effect] = []
        self.asked: list[Asked] = []
        self._loop = loop
        self._deliver = deliver
        self._wakes_at = NEVER

    @property
    def name(self) -> str:
        return self.gateway.state.server

    def arrive(self, request: Request) -> Reply:
        """Answer one request, now."""
        self._advance()
        outcome = self.gateway.answer(request, self._now())
        call, reply = outcome.call, outcome.reply
        self.asked.append(
            Asked(
                self._loop.now,
                call.operation,
                request.key,
                call.reference,
                None if reply.hold_us == NO_ANSWER else reply.status,
                call.shown.behaviour.name,
                reply.replayed,
            )
        )
        about = () if call.reference is None else (call.reference,)
        shown = call.shown.behaviour.name
        self.tell(self.name, f"{call.operation} {(call.reference or '')[:8]}: {self.asked[-1].status}")
        if shown != "ok":
            self._strike(f"{self.name}.{shown}", self.name, about)
        self._collect()
        return reply

    def reference_of(self, path: str, body: bytes | None) -> str | None:
        """The renewal that a request is about."""
        document: Any = orjson.loads(body) if body else {}
        found = document.get("reference") or (document.get("metadata") or {}).get("renewal_id")
        if found is None and path.startswith("/v1/payment_intents/"):
            intent = self.gateway.state.intents.get(path.split("/")[3])  # type: ignore[attr-defined]
            found = intent.renewal_id if intent is not None else None
        return str(found) if found is not None else None

    def _now(self) -> int:
        return _EPOCH_US + round(self._loop.time() * SECOND)

    def _advance(self) -> None:
        self.effects += self.gateway.advance(self._now())
        self._collect()

    def _collect(self) -> None:
        self.effects += self.gateway.taken_effects()
        for number, event in enumerate(self.gateway.taken_events()):
            if event.mischief:
                about = event.object["metadata"].get("renewal_id", "")
                self._strike(f"{self.name}.webhook_{event.mischief}", self.name, (about,))
            for delivery in deliveries(event, f"evt_{len(self.asked)}_{number}"):
                self._deliver(delivery)
        due = self.gateway.state.next_due()
        if due < self._wakes_at:
            self._wakes_at = due
            self._loop.work_later(max(0.0, (due - self._now()) / SECOND), self._wake)

    def _wake(self) -> None:
        self._wakes_at = NEVER
        self._advance()


class VirtualClient(HttpClient):
    """The real client's interface over the network in memory: an answer, NotSent or Unanswered."""

    def __init__(
        self, server: Server, life: Life, loop: VirtualLoop, network: Network, timeout_seconds: float
    ) -> None:
        super().__init__("http://sandbox.invalid", timeout_seconds=timeout_seconds, connections=1, tls=None)
        self._server = server
        self._life = life
        self._virtual = loop
        self._network = network

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        reference = self._server.reference_of(path, body)
        key = next(
            (value for name, value in (headers or {}).items() if name.lower() == "idempotency-key"), None
        )
        under_way, lost = await self._network.sending(self._life, reference)
        answer: asyncio.Future[HttpAnswer] = self._virtual.create_future()
        request = Request(method, path, key, body or b"")
        self._virtual.work_later(under_way, self._arrive, request, answer, lost)
        if lost:
            self._virtual.work_later(under_way, _fail, answer, "the connection broke")
        else:
            self._virtual.work_later(self._timeout_seconds, _fail, answer, "no answer in time")
        got = await answer
        await self._network.answered(self._life, reference)
        return got

    def _arrive(self, request: Request, answer: asyncio.Future[HttpAnswer], lost: bool) -> None:
        reply = self._server.arrive(request)
        if reply.hold_us == NO_ANSWER or lost:
            return
        headers = {"content-type": "application/json"}
        if reply.retry_after_seconds is not None:
            headers["retry-after"] = str(reply.retry_after_seconds)
        back = HttpAnswer(reply.status, headers, bytes(reply.body))
        self._virtual.work_later(reply.hold_us / SECOND + 0.005, _answer, answer, back)


def _fail(answer: asyncio.Future[HttpAnswer], why: str) -> None:
    if not answer.done():
        answer.set_exception(Unanswered(why))


def _answer(answer: asyncio.Future[HttpAnswer], back: HttpAnswer) -> None:
    if not answer.done():
        answer.set_result(back)
