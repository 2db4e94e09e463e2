"""What the API shows and takes: bodies of requests and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

from pydantic import Field

from services.renewal.domain.acceptance import ReviewState
from services.renewal.domain.renewal import HistoryEntry, Renewal, State
from services.renewal.domain.review import Review
from services.renewal.domain.waiting import Waiting, WaitState
from shared.contracts.fields import MAX_PAYMENT_METHODS, ChargeMinor, Currency, Id, Origin
from shared.http.body import Answer, Body

NotBegun = Literal["waiting", "in_review"]
"""What a request can be that is no renewal yet, and may become one."""
NOT_BEGUN: Final[tuple[NotBegun, ...]] = get_args(NotBegun)

PaymentMethodIds = Annotated[
    tuple[Id, ...],
    Field(min_length=1, max_length=MAX_PAYMENT_METHODS, description="Tried in this order."),
]


class NewRenewal(Body):
    """What to buy for which subscription, and how to pay. The price shown is the most that is ever taken."""

    subscription_id: Id
    offering_id: Id
    expected_amount_minor: ChargeMinor
    currency: Currency
    payment_method_ids: PaymentMethodIds
    payer_id: Annotated[Id | None, Field(description="Whose methods pay; the owner's, if left out.")] = None


class BulkRenewal(NewRenewal):
    """One of many: `request_id` is what Idempotency-Key is for a single one."""

    request_id: Id


class PaymentChoice(Body):
    """The method to pay with now: another one, or the same again after confirming it."""

    payment_method_id: Id


StepName = Literal["price", "payment", "top_up"]


class Step(Answer):
    """How far one step is. `attempts` counts tries begun, `at` is when it ended well."""

    name: StepName
    state: Literal[
        "pending", "done", "waiting_for_customer", "cancelling", "cancelled", "refunding", "refunded",
        "rejected", "undetermined", "not_begun",
    ]  # fmt: skip
    attempts: int
    at: datetime | None


class HistoryLine(Answer):
    """One thing that happened: which message, from which state to which, and why."""

    version: int
    at: datetime
    message: str
    from_state: State | None
    to_state: State
    attempt: int | None
    reason: str | None
    detail: str | None


class RenewalSummary(Answer):
    """A renewal as it is now."""

    renewal_id: UUID
    subscription_id: str
    state: State | WaitState | ReviewState
    version: int
    offering_id: str
    expected_amount_minor: int
    amount_minor: int | None
    currency: str
    payer_id: str
    payment_method_ids: tuple[str, ...]
    origin: Origin
    cycle: int
    requested_at: datetime
    deadline_at: datetime
    closed_at: datetime | None
    reason: str | None
    parked_reason: str | None
    customer_action: str | None
    customer_action_before: datetime | None
    flags: list[str]
    steps: list[Step]
    gives_way: UUID | None = None
    """Where it waits, or has waited in vain: the rule's renewal that is called off for it."""


class RenewalView(RenewalSummary):
    """A renewal with all that happened to it."""

    history: list[HistoryLine]
    detail: str | None = None
    """Why it was refused after it had waited, or after it was reviewed."""


def summary(row: Renewal | Waiting | Review) -> RenewalSummary:
    if isinstance(row, Renewal):
        return RenewalSummary(**_members(row))
    return RenewalSummary(**_members_without_slot(row))


def view(renewal: Renewal, history: Sequence[HistoryEntry]) -> RenewalView:
    lines = [HistoryLine.model_validate(entry._asdict() | {"attempt": entry.attempt}) for entry in history]
    return RenewalView(**_members(renewal), history=lines)


def _members(renewal: Renewal) -> dict[str, Any]:
    terms = renewal.agreed
    return {
        "renewal_id": renewal.renewal_id,
        "subscription_id": renewal.subscription_id,
        "state": renewal.state,
        "version": renewal.version,
        "offering_id": terms.offering_id,
        "expected_amount_minor": terms.max_amount_minor,
        "amount_minor": renewal.amount_minor,
        "currency": terms.currency,
        "payer_id": terms.payer_id,
        "payment_method_ids": terms.payment_method_ids,
        "origin": terms.origin,
        "cycle": renewal.cycle,
        "requested_at": renewal.requested_at,
        "deadline_at": renewal.deadline_at,
        "closed_at": renewal.closed_at,
        "reason": renewal.reason,
        "parked_reason": renewal.parked_reason if renewal.state == "parked" else None,
        "customer_action": renewal.action,
        "customer_action_before": renewal.action_before,
        "flags": renewal.flags.split(),
        "steps": steps(renewal),
    }


def waiting_view(waiting: Waiting) -> RenewalView:
    """A request that has no slot yet, or never got one, as the renewal that it asks for."""
    return RenewalView(**_members_without_slot(waiting), history=[], detail=waiting.detail)


def review_view(review: Review) -> RenewalView:
    """The same of a request that a person decides about, or has."""
    return RenewalView(**_members_without_slot(review), history=[], detail=review.detail)


def _members_without_slot(row: Waiting | Review) -> dict[str, Any]:
    asked = row.request
    if isinstance(row, Waiting):
        asked_at, version, gives_way = row.asked_at, 0 if row.ended_at is None else 1, row.gives_way
    else:
        asked_at, version, gives_way = row.opened_at, row.version, None
    return {
        "renewal_id": row.renewal_id,
        "subscription_id": row.subscription_id,
        "state": row.state,
        "version": version,
        "offering_id": asked.offering_id,
        "expected_amount_minor": asked.max_amount_minor,
        "amount_minor": None,
        "currency": asked.currency,
        "payer_id": asked.payer_id or row.owner_id,
        "payment_method_ids": asked.payment_method_ids,
        "origin": asked.origin,
        "cycle": row.cycle,
        "requested_at": asked_at,
        "deadline_at": row.deadline_at,
        "closed_at": row.ended_at,
        "reason": row.reason,
        "parked_reason": None,
        "customer_action": None,
        "customer_action_before": None,
        "flags": [],
        "steps": [Step(name=name, state="not_begun", attempts=0, at=None) for name in get_args(StepName)],
        "gives_way": gives_way,
    }


def steps(renewal: Renewal) -> list[Step]:
    """What the row says about each of the three steps."""
    return [_price(renewal), _payment(renewal), _top_up(renewal)]


def _price(renewal: Renewal) -> Step:
    if renewal.amount_minor is not None:
        return Step(name="price", state="done", attempts=1, at=renewal.priced_at)
    state: Literal["pending", "rejected"] = "pending" if renewal.state == "requested" else "rejected"
    return Step(name="price", state=state, attempts=1, at=None)


def _payment(renewal: Renewal) -> Step:
    def step(state: str, at: datetime | None = None) -> Step:
        return Step(name="payment", state=state, attempts=renewal.payment_attempt, at=at)

    if renewal.state == "refunded":
        return step("refunded", renewal.closed_at)
    if renewal.state == "refunding":
        return step("refunding", renewal.captured_at)
    if renewal.captured_at is not None or renewal.state == "completed":
        return step("done", renewal.captured_at)
    if renewal.state in ("failed", "cancelled"):
        return step("cancelled", renewal.closed_at)
    if renewal.state == "cancelling_payment":
        return step("cancelling")
    if renewal.state == "awaiting_customer":
        return step("waiting_for_customer")
    return step("pending") if renewal.amount_minor is not None else step("not_begun")


def _top_up(renewal: Renewal) -> Step:
    def step(state: str, at: datetime | None = None) -> Step:
        return Step(name="top_up", state=state, attempts=attempts, at=at)

    begun = renewal.captured_at is not None or renewal.top_up is not None or renewal.state == "completed"
    attempts = renewal.top_up_attempt if begun else 0
    if renewal.state == "completed":
        return step("done", renewal.applied_at)
    if renewal.top_up is not None:
        return step(renewal.top_up)
    if renewal.state == "cancelling_top_up":
        return step("cancelling")
    return step("pending" if begun else "not_begun")
