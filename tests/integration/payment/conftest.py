"""Payment at work on real servers, with a real sandbox PSP beside it, and the messages it reads."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any, TypeVar
from uuid import UUID, uuid4

import pytest

from services.payment import settings, wiring
from services.payment.domain.capabilities import GATEWAYS
from services.payment.gateways.psp import Psp
from shared.calls.http_client import open_client
from shared.clock import utc_now
from shared.contracts.message import RenewalMessage, Terms
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.prices import RenewalPriced
from shared.contracts.topups import TopUpApplied
from tests.conftest import FreshDatabase
from tests.integration.payment.other_process import OtherProcess
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import DEADLINE_SECONDS, GRANT, NEVER_BROKEN, Journal, act_before, until
from tests.integration.wired import Reply, Wired, wired

WEBHOOK_SECRET = "a secret of this test"
PRICE = 1500
AnyAnswer = TypeVar("AnyAnswer", bound=RenewalMessage)

# Every wait is short, and the lease still outlasts the send window and two calls together.
HASTY: dict[str, Any] = {
    "payment_poll_seconds": 0.05,
    "payment_send_window_seconds": 0.8,
    "payment_call_seconds": 0.8,
    "payment_lease_seconds": 2.5,
    "payment_resolution_seconds": 3.0,
    "payment_refund_seconds": 6.0,
    "payment_back_off_seconds": 0.05,
    "payment_back_off_cap_seconds": 0.2,
    "payment_limits": NEVER_BROKEN,
}


@dataclass(slots=True)
class Renewal:
    """A renewal whose payer has these methods, and every command there is about it."""

    methods: tuple[str, ...]
    payer_id: str
    amount_minor: int = PRICE
    renewal_id: UUID = field(default_factory=uuid4)

    @property
    def subscription_id(self) -> str:
        return f"sub-{self.renewal_id.hex[:12]}"

    @property
    def terms(self) -> Terms:
        return Terms(
            offering_id="cuba-1gb",
            max_amount_minor=max(self.amount_minor, 1),
            currency="USD",
            payment_method_ids=self.methods,
            payer_id=self.payer_id,
        )

    def priced(self, *, late: bool = False) -> RenewalPriced:
        return RenewalPriced(**self._purchase(late), priced_at=utc_now())

    def capture(self, attempt: int = 1, method: str | None = None, *, late: bool = False) -> CapturePayment:
        return CapturePayment(
            **self._purchase(late), attempt=attempt, payment_method_id=method or self.methods[0]
        )

    def cancel(self, *, late: bool = False) -> CancelPayment:
        return CancelPayment(**self._head(), act_before=act_before(late=late), reason="customer_cancelled")

    def refund(self, attempt: int = 1, *, late: bool = False) -> RefundPayment:
        return RefundPayment(
            **self._head(), attempt=attempt, act_before=act_before(late=late), reason="top_up_rejected"
        )

    def resolve(self, decision: Any) -> ResolvePayment:
        return ResolvePayment(
            **self._head(), act_before=act_before(), decision=decision, decided_by="operator-1"
        )

    def applied(self) -> TopUpApplied:
        now = utc_now()
        return TopUpApplied(
            **self._head(),
            grant=GRANT,
            amount_minor=self.amount_minor,
            currency="USD",
            cycle=1,
            applied_at=now,
            expires_at=now + timedelta(days=1),
        )

    def _purchase(self, late: bool) -> dict[str, Any]:
        money = {"amount_minor": self.amount_minor, "currency": "USD", "grant": GRANT}
        return self._head() | money | {"act_before": act_before(late=late)}

    def _head(self) -> dict[str, Any]:
        return {
            "renewal_id": self.renewal_id,
            "subscription_id": self.subscription_id,
            "version": 1,
            "terms": self.terms,
        }


class PspJournal(Journal):
    """The sandbox's PSP, and what its journal says."""

    def effects(self, renewal: Renewal) -> list[str]:
        """What really happened to a renewal's money, in order."""
        return self.effects_of(renewal.renewal_id)

    def requests(self, renewal: Renewal, operation: str) -> list[dict[str, Any]]:
        """The requests of that kind for a renewal, in order."""
        return self.requests_of(renewal.renewal_id, operation)


def said(payment: Wired, kind: type[AnyAnswer], renewal: Renewal) -> list[AnyAnswer]:
    """What payment said of that kind about a renewal."""
    return [message for message in payment.said(kind) if message.renewal_id == renewal.renewal_id]


async def hear(payment: Wired, kind: type[AnyAnswer], renewal: Renewal) -> AnyAnswer:
    """The first answer of that kind, as soon as it is there."""
    found: list[AnyAnswer] = await until(lambda: said(payment, kind, renewal))
    return found[0]


async def row(payment: Wired, renewal: Renewal) -> Any:
    """The renewal's row of `payments`."""
    return await payment.pool.fetchrow("select * from payments where renewal_id = $1", renewal.renewal_id)


async def at_rest(payment: Wired, renewal: Renewal) -> Any:
    """The row once no call is under way any more."""

    async def look() -> Any:
        found = await row(payment, renewal)
        return found if found is not None and found["operation"] is None else None

    return await until(look)


async def lines(payment: Wired, renewal: Renewal) -> set[tuple[str, str, str, int]]:
    """The renewal's ledger lines: kind, debit, credit, amount."""
    rows = await payment.pool.fetch(
        "select kind, debit_account, credit_account, amount_minor from ledger_transfers"
        " where renewal_id = $1",
        renewal.renewal_id,
    )
    return {tuple(found) for found in rows}


async def books_balance(payment: Wired) -> bool:
    """Whether GET /v1/ledger/balances says so."""
    reply = await payment.request("GET", "/v1/ledger/balances")
    assert reply.status == 200
    return bool(reply.body["balanced"])


async def call(payment: Wired, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
    """One HTTP request with headers; `_` in their names stands for `-`."""

    def request() -> Reply:
        connection = HTTPConnection("127.0.0.1", payment.port, timeout=DEADLINE_SECONDS)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"content-type": "application/json"} | given)
            response = connection.getresponse()
            return Reply(response.status, json.loads(response.read()))
        finally:
            connection.close()

    return await asyncio.to_thread(request)


async def pay_in(payment: Wired, renewal: Renewal, amount_minor: int) -> None:
    """Open the payer's wallet and put money in."""
    wallet = f"/v1/wallets/{renewal.payer_id}/USD"
    assert (await payment.request("PUT", wallet)).status == 200
    body = json.dumps({"amount_minor": amount_minor}).encode()
    reply = await call(payment, "POST", f"{wallet}/deposits", body, Idempotency_Key=str(uuid4()))
    assert reply.status == 201, reply


Subscribe = Callable[..., Awaitable[Renewal]]


@pytest.fixture
def psp(sandbox: Sandbox) -> Iterator[PspJournal]:
    journal = PspJournal(sandbox.psp, "renewal_id")
    yield journal
    journal.well()


@pytest.fixture(scope="module")
async def database_url(fresh_database: FreshDatabase) -> str:
    return await fresh_database("payment")


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> settings.Settings:
    secret = tmp_path_factory.mktemp("secret") / "webhook"
    secret.write_text(WEBHOOK_SECRET)
    return settings.Settings(
        database_url=database_url,
        psp_url=f"http://127.0.0.1:{sandbox.psp.port}",
        webhook_secret_file=secret,
        **HASTY,
    )


@pytest.fixture(scope="module")
async def payment(told: settings.Settings, database_url: str, kafka_bootstrap: str) -> AsyncIterator[Wired]:
    async with wired(
        lambda transactions: wiring.build(told, transactions), database_url, kafka_bootstrap, "payment"
    ) as service:
        yield service


@pytest.fixture
async def other(told: settings.Settings, payment: Wired) -> AsyncIterator[OtherProcess]:
    client = open_client(str(told.psp_url), timeout_seconds=0.4, connections=2)
    yield OtherProcess(
        told, Psp("sandbox", client, GATEWAYS["sandbox"], timedelta(seconds=0.4), utc_now), payment
    )
    await client.close()


@pytest.fixture
def payer(payment: Wired) -> Subscribe:
    """`await payer("tok_ok")` is a renewal whose payer has these cards, the first to be used first."""

    async def with_cards(*tokens: str, **more: Any) -> Renewal:
        payer_id = f"payer-{uuid4().hex[:12]}"
        methods = []
        for token in tokens or ("tok_ok",):
            method = f"card-{uuid4().hex[:12]}"
            body = {"payer_id": payer_id, "kind": "card", "token": token}
            if token == "wallet":
                body = {"payer_id": payer_id, "kind": "wallet"}
            reply = await payment.request("PUT", f"/v1/payment-methods/{method}", body)
            assert reply.status == 200, reply
            methods.append(method)
        return Renewal(tuple(methods), payer_id, **more)

    return with_cards


def long_ago() -> datetime:
    return datetime(2001, 1, 1, tzinfo=UTC)
