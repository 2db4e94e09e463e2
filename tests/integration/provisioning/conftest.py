"""Provisioning at work on real servers, with a real sandbox carrier beside it, and the messages it reads."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.provisioning import settings, wiring
from shared.clock import utc_now
from shared.contracts.checks import eid_with_check, luhn_digit
from shared.contracts.message import StartsEffect, Terms
from shared.contracts.payments import PaymentCaptured
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp
from tests.conftest import FreshDatabase
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import GRANT, NEVER_BROKEN, Journal, act_before
from tests.integration.wired import Wired, wired

EID = eid_with_check("890490320000000000000000000000")
TERMS = Terms(
    offering_id="cuba-1gb",
    max_amount_minor=1000,
    currency="USD",
    payment_method_ids=("card-1",),
    payer_id="payer-1",
)
CALM = "00"
_numbers = count(1)

# Every wait is short, and the lease still outlasts window and call together.
HASTY: dict[str, Any] = {
    "provisioning_poll_seconds": 0.05,
    "provisioning_send_window_seconds": 0.4,
    "provisioning_call_seconds": 0.4,
    "provisioning_lease_seconds": 1.0,
    "provisioning_resolution_seconds": 10.0,
    "provisioning_repeats": 2,
    "provisioning_back_off_seconds": 0.05,
    "provisioning_back_off_cap_seconds": 0.2,
}
CARRIERS = {
    "*": NEVER_BROKEN,
    "keyless": {"honours_keys": False, "cancels": False, **NEVER_BROKEN},
    "mute": {"honours_keys": False, "queries": False, "cancels": False, **NEVER_BROKEN},
}


def iccid(behaviour: str = CALM) -> str:
    """An ICCID nobody else has; its two digits choose how the sandbox treats it (deploy/sandbox)."""
    digits = f"8999990{behaviour}{next(_numbers):09d}"
    return digits + luhn_digit(digits)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscription as the test has written it over HTTP."""

    subscription_id: str
    iccid: str

    def captured(
        self, renewal_id: UUID | None = None, *, late: bool = False, attempt: int = 1
    ) -> PaymentCaptured:
        """The payment of a renewal of this subscription; late: too late to act on it."""
        now = utc_now()
        return PaymentCaptured(
            **self._purchase(renewal_id or uuid4(), late),
            attempt=attempt,
            payment_method_id="card-1",
            captured_at=now,
        )

    def apply(self, begun: StartsEffect, attempt: int) -> ApplyTopUp:
        return ApplyTopUp(**self._purchase(begun.renewal_id), attempt=attempt)

    def cancel(self, renewal_id: UUID, *, late: bool = False) -> CancelTopUp:
        return CancelTopUp(
            renewal_id=renewal_id,
            subscription_id=self.subscription_id,
            version=9,
            terms=TERMS,
            act_before=act_before(late=late),
            reason="customer_cancelled",
        )

    def resolve(self, renewal_id: UUID, *, applied: bool) -> ResolveTopUp:
        return ResolveTopUp(
            renewal_id=renewal_id,
            subscription_id=self.subscription_id,
            version=10,
            terms=TERMS,
            act_before=act_before(),
            decision="applied" if applied else "not_applied",
            decided_by="operator-1",
        )

    def _purchase(self, renewal_id: UUID, late: bool = False) -> dict[str, Any]:
        return {
            "renewal_id": renewal_id,
            "subscription_id": self.subscription_id,
            "version": 3,
            "terms": TERMS,
            "amount_minor": 1000,
            "currency": "USD",
            "grant": GRANT,
            "act_before": act_before(late=late),
        }


class Carrier(Journal):
    """The sandbox's carrier, and what its journal says."""

    def effects(self, renewal_id: UUID) -> list[str]:
        """What really happened for a renewal, in order."""
        return self.effects_of(renewal_id)

    def keys(self, renewal_id: UUID) -> set[str]:
        """The idempotency keys under which top-ups of a renewal were asked for."""
        return {row["key"] for row in self.requests_of(renewal_id, "apply_topup")}


Subscribe = Callable[..., Awaitable[Subscriber]]


@pytest.fixture
def carrier(sandbox: Sandbox) -> Iterator[Carrier]:
    carrier = Carrier(sandbox.carrier, "reference")
    yield carrier
    carrier.well()


@pytest.fixture(scope="module")
async def database_url(fresh_database: FreshDatabase) -> str:
    return await fresh_database("provisioning")


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox) -> settings.Settings:
    return settings.Settings(
        database_url=database_url,
        carrier_url=f"http://127.0.0.1:{sandbox.carrier.port}",
        provisioning_carriers=CARRIERS,
        **HASTY,
    )


@pytest.fixture(scope="module")
async def provisioning(
    told: settings.Settings, database_url: str, kafka_bootstrap: str
) -> AsyncIterator[Wired]:
    async with wired(
        lambda transactions: wiring.build(told, transactions), database_url, kafka_bootstrap, "provisioning"
    ) as service:
        yield service


@pytest.fixture
def subscribe(provisioning: Wired) -> Subscribe:
    """`await subscribe("10")` is a new subscription whose ICCID the sandbox treats like that."""

    async def subscribed(behaviour: str = CALM, *, carrier: str = "cubacel") -> Subscriber:
        subscriber = Subscriber(f"sub-{uuid4().hex[:12]}", iccid(behaviour))
        body = body_of(subscriber.iccid, carrier=carrier)
        reply = await provisioning.request("PUT", f"/v1/subscriptions/{subscriber.subscription_id}", body)
        assert reply.status == 201, reply
        return subscriber

    return subscribed


def body_of(its_iccid: str, **more: object) -> dict[str, object]:
    body: dict[str, object] = {"brand": "ola", "carrier": "cubacel", "iccid": its_iccid, "eid": EID}
    return body | {"owner_id": "owner-1"} | more
