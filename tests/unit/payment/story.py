"""Given, when, then for the payment of one renewal: commands and outcomes in, row and messages out."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from services.payment.domain.calls import call_of
from services.payment.domain.commands import Circumstances, Command, fold_command
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.outcomes import fold_outcome, fold_wallet
from services.payment.domain.payment import (
    AttemptRow,
    CallStatus,
    Change,
    Method,
    Operation,
    Patience,
    Payment,
    Transfer,
)
from shared.contracts.message import Grant, RenewalMessage, Terms
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.prices import RenewalPriced

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RENEWAL = UUID("018f2c1e-0000-7000-8000-000000000001")
PRICE = 1500
METHODS = {
    "card-1": Method("card-1", "payer-1", "sandbox", "active"),
    "card-2": Method("card-2", "payer-1", "sandbox", "active"),
    "purse": Method("purse", "payer-1", "wallet", "active"),
    "stolen": Method("stolen", "payer-2", "sandbox", "active"),
    "gone": Method("gone", "payer-1", "sandbox", "removed"),
    "old": Method("old", "payer-1", "sandbox", "expired"),
}
TERMS = Terms(
    offering_id="cuba-1gb",
    max_amount_minor=PRICE,
    currency="USD",
    payment_method_ids=("card-1", "card-2"),
    payer_id="payer-1",
)
AnyMessage = TypeVar("AnyMessage", bound=RenewalMessage)


@dataclass
class Story:
    """What happens to one payment, in order. Every fold is checked to leave its input as it was."""

    payment: Payment | None = None
    now: datetime = NOON
    patience: Patience = field(default_factory=Patience)
    terms: Terms = TERMS
    amount_minor: int = PRICE
    said: list[RenewalMessage] = field(default_factory=list)
    attempts: dict[int, AttemptRow] = field(default_factory=dict)
    transfers: dict[UUID, Transfer] = field(default_factory=dict)
    wallet_minor: int | None = None
    last: Change | None = None

    @property
    def row(self) -> Payment:
        assert self.payment is not None, "there is no row"
        return self.payment

    def heard(self, kind: type[AnyMessage]) -> list[AnyMessage]:
        """What was said of that kind."""
        return [message for message in self.said if isinstance(message, kind)]

    def priced(self, *, late: bool = False) -> "Story":
        return self.command(RenewalPriced(**self._purchase(late), priced_at=self.now))

    def capture(self, attempt: int = 1, method: str = "card-1", *, late: bool = False) -> "Story":
        return self.command(CapturePayment(**self._purchase(late), attempt=attempt, payment_method_id=method))

    def cancel(self, *, late: bool = False) -> "Story":
        return self.command(
            CancelPayment(**self._head(), act_before=self._by(late), reason="customer_cancelled")
        )

    def refund(self, attempt: int = 1, *, late: bool = False) -> "Story":
        return self.command(
            RefundPayment(
                **self._head(), attempt=attempt, act_before=self._by(late), reason="top_up_rejected"
            )
        )

    def resolve(self, decision: Any) -> "Story":
        return self.command(
            ResolvePayment(
                **self._head(), act_before=self._by(late=False), decision=decision, decided_by="operator-1"
            )
        )

    def created(self, reference: str = "pi_1") -> "Story":
        """The PSP's object is stored, as store_references does it."""
        row = self.row
        assert row.operation is Operation.CAPTURE
        self.payment = replace(row, provider_reference=reference, reference_gateway=row.gateway)
        return self

    def outcome(self, kind: Kind, **more: Any) -> "Story":
        """The call under way is answered to the worker that holds it."""
        row = self.row
        given: dict[str, Any] = {
            "operation": row.operation,
            "ordinal": row.ordinal,
            "claim": row.claim,
            "gateway": row.reference_gateway or row.gateway or "",
            "code": "generic_decline",
        }
        if kind in (Kind.CAPTURED, Kind.VOIDED):
            given["reference"] = row.provider_reference
        if kind is Kind.REFUNDED and row.operation is not None:
            asked = call_of(row, RENEWAL, None, 0.0)
            given |= {"reference": f"re_{row.ordinal}", "object_reference": asked.reference}
            given |= {"gateway": asked.gateway, "amount_minor": asked.amount_minor}
        given = {"amount_minor": row.amount_minor or PRICE, "currency": "USD"} | given
        return self.fact(kind, **(given | more))

    def fact(self, kind: Kind, **given: Any) -> "Story":
        """Something a gateway said, as it is."""
        return self._take(fold_outcome, Outcome(RENEWAL, kind, self.now, **given), self.now, self.patience)

    def wallet(self, **more: Any) -> "Story":
        """The wallet's turn has come: it is locked and decides."""
        row = self.row
        outcome = Outcome(RENEWAL, Kind.WALLET, self.now, row.operation, row.ordinal, row.claim, "wallet")
        return self._take(fold_wallet, outcome._replace(**more), self.wallet_minor, self.now, self.patience)

    def command(self, command: Command) -> "Story":
        return self._take(fold_command, command, Circumstances(self.now, METHODS, self.patience))

    def claimed(self) -> "Story":
        """Another worker takes the row over, its lease having run out."""
        self.payment = replace(self.row, claim=self.row.claim + 1, call_status=CallStatus.SENDING)
        return self

    def later(self, **span: float) -> "Story":
        self.now += timedelta(**span)
        return self

    def _take(self, fold: Any, *arguments: Any) -> "Story":
        before = deepcopy(self.payment)
        change: Change | None = fold(self.payment, *arguments)
        assert self.payment == before, "a fold changed its input"
        self.last = change
        if change is not None:
            self.payment = change.payment
            self.said += change.messages
            for attempt in change.attempts:
                begun = self.attempts.get(attempt.ordinal)
                key = begun.key if begun is not None and attempt.key is None else attempt.key
                self.attempts[attempt.ordinal] = attempt._replace(key=key)
            self.transfers |= {transfer.id: transfer for transfer in change.transfers}
            if change.wallet_minor:
                assert self.wallet_minor is not None
                self.wallet_minor += change.wallet_minor
        return self

    def _purchase(self, late: bool) -> dict[str, Any]:
        grant = Grant(data_bytes=2**30, validity_seconds=86_400, product_code="cu1")
        money = {"amount_minor": self.amount_minor, "currency": "USD", "grant": grant}
        return self._head() | money | {"act_before": self._by(late)}

    def _head(self) -> dict[str, Any]:
        return {"renewal_id": RENEWAL, "subscription_id": "sub-1", "version": 1, "terms": self.terms}

    def _by(self, late: bool) -> datetime:
        return self.now + timedelta(seconds=-1 if late else 60)


def capturing() -> Story:
    """A capture about to be confirmed: its object is there."""
    return Story().priced().created()


def declined() -> Story:
    """A first attempt that the issuer declined."""
    return capturing().outcome(Kind.DECLINED)


def captured() -> Story:
    """A payment whose money is taken."""
    return capturing().outcome(Kind.CAPTURED)


def balances(transfers: dict[UUID, Transfer]) -> dict[str, int]:
    """What each account holds: credits less debits."""
    held: dict[str, int] = {}
    for transfer in transfers.values():
        held[transfer.credit_account] = held.get(transfer.credit_account, 0) + transfer.amount_minor
        held[transfer.debit_account] = held.get(transfer.debit_account, 0) - transfer.amount_minor
    return held


def moved(transfers: dict[UUID, Transfer], kind: str) -> int:
    """The sum of the transfers of a kind."""
    return sum(transfer.amount_minor for transfer in transfers.values() if transfer.kind == kind)
