"""The payment of one renewal: its row, what a fold changes, and the words both use."""

from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from shared.contracts.message import Grant, RenewalMessage, Terms, deterministic_id

WALLET = "wallet"
"""The gateway that is our own database: a wallet's balance is charged where the row is locked."""

LONG_PAST = datetime(2000, 1, 1, tzinfo=UTC)
"""`act_before` of a PaymentCaptured that came after the wish to cancel: it starts nothing."""


class State(StrEnum):
    """Where a payment stands. `decision` says what was published for good."""

    HELD = "held"  # came too late: nothing begins until a timely command of the same attempt
    CAPTURING = "capturing"  # an attempt is under way
    REFUSED = "refused"  # the attempt is known not to have taken money; the next one may come
    CANCELLING = "cancelling"  # the PSP's object is being cancelled
    CANCELLED = "cancelled"
    CAPTURED = "captured"
    REFUNDING = "refunding"
    REFUND_FAILED = "refund_failed"
    REFUND_REJECTED = "refund_rejected"
    REFUNDED = "refunded"


class Decision(StrEnum):
    """Said once per renewal, ever."""

    CAPTURED = "captured"
    CANCELLED = "cancelled"


class Operation(StrEnum):
    """A call to a gateway. One at a time per renewal."""

    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    SURPLUS = "surplus"  # a refund of money that no renewal may keep
    ASK = "ask"  # whether the payer has authenticated: a question, which moves nothing


class CallStatus(StrEnum):
    """What is known of a call: of the current one in `payments`, of each in `payment_attempts`."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    FAILED = "failed"


@dataclass(slots=True, frozen=True)
class Method:
    """A payer's way to pay, as far as a decision needs it: the token stays in the store.

    `declined_at` holds the declines of its card that may still count, under whatever name the card was tried.
    """

    payment_method_id: str
    payer_id: str
    gateway: str
    status: str
    network: str | None = None
    declined_at: tuple[datetime, ...] = ()
    let_through: frozenset[UUID] | None = None
    """The renewals that may try the card now, because it is near its network's cap; None: all may."""


@dataclass(slots=True, frozen=True)
class Surplus:
    """Money found where none may be kept: one per object at a gateway. `ordinal` counts from 1.

    `returned`: what went back of it, in minor units, by the id of the refund; 0 where that refund came back
    later. `settled` once all of it did; None where a part came back before that ever was.
    """

    gateway: str
    reference: str
    amount_minor: int
    currency: str
    ordinal: int
    settled: bool | None = False
    returned: dict[str, int] = field(default_factory=dict)

    @property
    def left_minor(self) -> int:
        """What is still to go back."""
        return self.amount_minor - sum(self.returned.values())

    @property
    def was_said(self) -> bool:
        """Whether all of it has gone back before, and was said to: what came back since is not said again."""
        return self.settled is not None and 0 in self.returned.values()


@dataclass(slots=True)
class Payment:
    """One row of `payments`. Replaced, never changed: a fold returns a new one."""

    renewal_id: UUID
    subscription_id: str
    terms: Terms
    currency: str
    version: int = 0
    state: State = State.HELD
    decision: Decision | None = None
    attempt: int = 1
    payment_method_id: str | None = None
    gateway: str | None = None
    amount_minor: int | None = None
    grant: Grant | None = None
    act_before: datetime | None = None
    # The PSP's one object of this renewal, at which PSP, and how many were cancelled before it.
    provider_reference: str | None = None
    reference_gateway: str | None = None
    objects: int = 0
    # The call under way. `ordinal` numbers all calls of the renewal and rises only after a known negative.
    operation: Operation | None = None
    ordinal: int = 0
    capture_ordinal: int = 0
    call_status: CallStatus | None = None
    claim: int = 0
    due_at: datetime | None = None
    resolve_before: datetime | None = None
    # What is wanted beside the call under way.
    cancel_wanted: str | None = None
    refund_attempt: int = 0
    surplus: tuple[Surplus, ...] = ()
    # What was said, to be said again. A PaymentCaptured is built from the row itself.
    answer: RenewalMessage | None = None
    refund_answer: RenewalMessage | None = None
    refund_reference: str | None = None
    """The refund at the PSP that gave the capture back: only its own failure brings the money here again."""
    captured_at: datetime | None = None
    captured_version: int | None = None
    applied_at: datetime | None = None
    disputed_at: datetime | None = None
    refund_returned_at: datetime | None = None
    traceparent: str | None = None

    def changed(self, **fields: Any) -> "Payment":
        """The next version of the row."""
        copy = self.copy(**fields)
        copy.version += 1
        return copy

    def copy(self, **fields: Any) -> "Payment":
        """The row with other values; dataclasses.replace costs five times as much."""
        copy = Payment(*_VALUES(self))
        for name, value in fields.items():
            setattr(copy, name, value)
        return copy


_VALUES = attrgetter(*(each.name for each in dataclass_fields(Payment)))


class AttemptRow(NamedTuple):
    """A row of `payment_attempts`: written when a call begins and again when its result is known.

    `key` is None in a result: the row is there, and has it.
    """

    ordinal: int
    operation: Operation
    payment_method_id: str
    gateway: str
    key: UUID | None
    status: CallStatus
    code: str | None = None
    reference: str | None = None


class Transfer(NamedTuple):
    """Money from one account to another, written once: the id says what it is about."""

    id: UUID
    kind: str
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str
    renewal_id: UUID | None = None


@dataclass(slots=True)
class Change:
    """What a fold brings about. `begins` is true where a call is to be made now."""

    payment: Payment
    messages: tuple[RenewalMessage, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    begins: bool = False
    wallet_minor: int = 0
    """What the payer's wallet gains; negative where it pays."""


@dataclass(slots=True, frozen=True)
class Cadence:
    """How often something is asked: each pause is `factor` times the one before it, up to `longest`."""

    first: timedelta = timedelta(seconds=15)
    factor: int = 2
    longest: timedelta = timedelta(minutes=5)

    def pause(self, passed: timedelta) -> timedelta:
        """The next pause when so much time has passed with such pauses: nobody has to count them."""
        return min(self.first + (self.factor - 1) * passed, self.longest)


@dataclass(slots=True, frozen=True)
class Patience:
    """How long payment waits, and for what."""

    resolution: timedelta = timedelta(seconds=120)
    """A call without an answer is repeated or asked about so long. Then the object is cancelled at the PSP;
    where that has no answer for as long again, the payment ends as cancelled, unresolved."""
    action: timedelta = timedelta(hours=23)
    """How long a payer may take to authenticate."""
    questions: Cadence = Cadence()
    """How often the PSP is asked meanwhile whether they have."""
    refund: timedelta = timedelta(hours=24)
    """A refund whose outcome is unknown is repeated or asked about so long before a person is told of it."""
    longest_refund_pause: timedelta = timedelta(hours=1)
    first_pause: timedelta = timedelta(seconds=1)
    longest_pause: timedelta = timedelta(seconds=60)


@dataclass(slots=True)
class Folded:
    """Several changes of one renewal, as one write."""

    payment: Payment | None
    changed: bool = False
    begins: bool = False
    wallet_minor: int = 0
    messages: list[RenewalMessage] = field(default_factory=list)
    attempts: dict[int, AttemptRow] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)

    def add(self, change: Change | None) -> None:
        """Take over a change; None changes nothing."""
        if change is None:
            return
        if self.payment is None or change.payment.version != self.payment.version:
            self.changed = True
            # A later change may end the call that an earlier one began: then there is none to make.
            self.begins = change.begins or (self.begins and change.payment.operation is not None)
        self.payment = change.payment
        self.wallet_minor += change.wallet_minor
        self.messages += change.messages
        self.transfers += change.transfers
        for attempt in change.attempts:
            begun = self.attempts.get(attempt.ordinal)
            if begun is not None and attempt.key is None:
                # Begun and ended in one batch: it is still to be inserted.
                attempt = attempt._replace(key=begun.key)
            self.attempts[attempt.ordinal] = attempt


def call_key(renewal_id: UUID, operation: str, payment_method_id: str, ordinal: int) -> UUID:
    """The Idempotency-Key of a call: the same call has the same key, whoever makes it."""
    return deterministic_id(renewal_id, operation, payment_method_id, ordinal)


def object_key(payment_gateway: str, renewal_id: UUID, objects: int) -> UUID:
    """The Idempotency-Key under which the renewal's object is created at a PSP."""
    return deterministic_id(renewal_id, "create", payment_gateway, objects)


def begun_row(payment: Payment) -> AttemptRow:
    """The row of the call that the fold has just begun, with its key."""
    if payment.operation is None:
        raise ValueError("no call is under way")
    method = payment.payment_method_id or ""
    key = call_key(payment.renewal_id, payment.operation, method, payment.ordinal)
    return _row(payment, payment.operation, payment.ordinal, key, CallStatus.SENDING, None, None)


def attempt_row(
    payment: Payment, status: CallStatus, *, code: str | None = None, reference: str | None = None
) -> AttemptRow:
    """What is now known of the call under way."""
    if payment.operation is None:
        raise ValueError("no call is under way")
    return _row(payment, payment.operation, payment.ordinal, None, status, code, reference)


def capture_row(
    payment: Payment, status: CallStatus, *, code: str, reference: str | None = None
) -> AttemptRow:
    """What is now known of the last capture, whatever call is under way."""
    return _row(payment, Operation.CAPTURE, payment.capture_ordinal, None, status, code, reference)


def _row(
    payment: Payment,
    operation: Operation,
    ordinal: int,
    key: UUID | None,
    status: CallStatus,
    code: str | None,
    reference: str | None,
) -> AttemptRow:
    gateway = payment.reference_gateway if operation is Operation.VOID else payment.gateway
    method = payment.payment_method_id or ""
    return AttemptRow(ordinal, operation, method, gateway or "", key, status, code, reference)
