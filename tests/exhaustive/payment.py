"""Payment's side of the network, as a value: its row, its workers' calls, its PSPs, its books.

Kept of the row: everything but `version`, `claim` and `due_at`. Whether a claim is the latest is a mark on
the job instead, and a row is due when no worker holds it.
"""

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from services.payment.calls import Created, Queued, Result
from services.payment.domain import ledger
from services.payment.domain.calls import Call
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import Decision, Operation, Payment, State, Surplus, Transfer
from tests.exhaustive.abstraction import NOW, coarse, plain, plainly
from tests.exhaustive.case import PRICE, RENEWAL
from tests.exhaustive.line import Delayed
from tests.exhaustive.psp import Psp

LATEST, EARLIER = 1, 0
"""A claim, as far as it matters: that of the row, or one that was lost."""

Row = tuple[Any, ...]
_values: Final = attrgetter(*(each.name for each in fields(Payment)))
_values_of_surplus: Final = attrgetter(*(each.name for each in fields(Surplus)))


def freeze(payment: Payment) -> Row:
    """The row as a value, without what only counts."""
    answer, refund_answer = payment.answer, payment.refund_answer
    copy = payment.copy(
        version=0,
        claim=LATEST,
        due_at=None,
        traceparent=None,
        cancel_wanted=plain(payment.cancel_wanted),
        answer=None if answer is None else plainly(answer),
        refund_answer=None if refund_answer is None else plainly(refund_answer),
        captured_version=None if payment.captured_version is None else 1,
        surplus=(),
    )
    held = tuple(tuple(map(_hashable, _values_of_surplus(one))) for one in payment.surplus)
    return (*map(coarse, _values(copy)), held)


def thaw(row: Row) -> Payment:
    """The row as production reads it."""
    payment = Payment(*row[:-1])
    held: list[list[Any]] = [[_thawed(value) for value in one] for one in row[-1]]
    payment.surplus = tuple(Surplus(*values) for values in held)
    return payment


def _hashable(value: Any) -> Any:
    return frozenset(value.items()) if isinstance(value, dict) else value


def _thawed(value: Any) -> Any:
    return dict(value) if isinstance(value, frozenset) else value


class Job(NamedTuple):
    """A call in the hands of a worker: to be made, or made and not yet written down."""

    operation: Operation
    ordinal: int
    gateway: str
    key: UUID
    objects: int
    reference: str | None
    token: str | None
    was_sent: bool = False
    sent_before: bool = False
    """Some worker held the call before this one: so it is left where this one does not write it."""
    call_reference: str | None = None
    cancel_wanted: bool = False
    is_old: bool = False
    """Claimed so late that the gateway does not remember the key any more."""
    holds: bool = True
    """Whether its lease is the row's latest."""
    result: Outcome | Literal["created", "queued", "queued unsent"] | None = None
    """None as long as the call is not made."""

    @property
    def told(self) -> str:
        if isinstance(self.result, Outcome):
            return " ".join(filter(None, [self.result.kind, self.result.code]))
        return str(self.result)

    def __str__(self) -> str:
        worker = "its worker" if self.holds else "the worker that lost its lease"
        return f"{worker} ({self.operation} {self.ordinal})"


def job_of(call: Call) -> Job:
    """The call as a value, in the hands of whoever has claimed it."""
    return Job(call.operation, call.ordinal, call.gateway, call.key, call.objects, call.reference, call.token)


class PaymentSide(NamedTuple):
    """Everything on payment's side of the network."""

    row: Row | None
    psps: tuple[Psp, ...]
    was_sent: bool = False
    """payment_attempts.send_before of the row's ordinal is set: some worker held the call."""
    refund_reference: str | None = None
    """payment_attempts.provider_reference of the row's ordinal."""
    jobs: tuple[Job, ...] = ()
    wire: frozenset[Delayed] = frozenset()
    ledger: frozenset[Transfer] = frozenset()
    said: frozenset[str] = frozenset()
    purse_minor: int = PRICE
    called_off: bool = False
    """A timely CancelPayment was read before there was a row."""
    refused: UUID | None = None
    """The key under which its worker was told of a decline, until a capture begins anew."""
    repeated: bool = False
    """A capture began anew under that key."""

    @property
    def payment(self) -> Payment | None:
        """The row, if there is one."""
        return None if self.row is None else thaw(self.row)

    @property
    def known(self) -> Payment:
        """The row that is there."""
        assert self.row is not None, "there is no row"
        return thaw(self.row)

    def with_jobs(self, jobs: Iterable[Job]) -> "PaymentSide":
        """These calls under way, in one order, whatever they came in: equal states are equal."""
        return self._replace(jobs=tuple(sorted(jobs, key=repr)))

    def with_psp(self, place: int, after: Psp) -> "PaymentSide":
        return self._replace(psps=(*self.psps[:place], after, *self.psps[place + 1 :]))


def earned(side: PaymentSide) -> PaymentSide:
    """`apply_captures`."""
    payment = side.payment
    if (
        payment is None
        or payment.decision is not Decision.CAPTURED
        or payment.applied_at is not None
        or payment.state is State.REFUNDED
    ):
        return side
    money: frozenset[Transfer] = frozenset()
    if payment.disputed_at is None and payment.amount_minor:
        moved = (ledger.HELD, ledger.APPLIED, payment.amount_minor, payment.currency, RENEWAL)
        money = frozenset({Transfer(ledger.applied_id(RENEWAL), "applied", *moved)})
    payment.applied_at = NOW
    return side._replace(row=freeze(payment), ledger=side.ledger | money)


def with_result(job: Job, result: Result) -> Job:
    """The job with what came of its call, as plainly as a rule reads it."""
    if isinstance(result, Created):
        return job._replace(reference=result.call.reference, was_sent=False, result="created")
    if isinstance(result, Queued):
        return job._replace(result="queued unsent" if result.is_unsent else "queued")
    if result.kind in (Kind.DECLINED, Kind.DISPUTED):
        return job._replace(result=result)
    code = plain(result.code or None) or ""
    return job._replace(result=result._replace(code=code, is_outage=False, retry_after_seconds=None))
