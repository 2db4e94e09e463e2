"""Reviews: a person decides about a request that can be paid only in ways that the policy leaves to one."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from services.renewal.domain.acceptance import ReviewState
from services.renewal.domain.admission import InReview, Refusal
from services.renewal.domain.asking import Request


class Review(NamedTuple):
    """One row: what was asked for, what is to be decided about it, and what became of it."""

    renewal_id: UUID
    subscription_id: str
    caller: str
    request_id: str
    request_hash: bytes
    offering_id: str
    max_amount_minor: int
    currency: str
    payment_method_ids: str
    """Joined by commas, in the order in which they are tried."""
    payer_id: str | None
    """As it was asked for; None: the owner pays."""
    owner_id: str
    cycle: int
    dunning_try: int | None
    """None where a person or a system asks; a rule's trigger waits among the kept ones meanwhile."""
    act_before: datetime | None
    traceparent: str | None
    is_told: bool
    destination: str | None
    payer_country: str | None
    reviewed: str
    """The methods to decide about, joined by commas."""
    kinds: str
    """Of these methods, each once, joined by commas."""
    opened_at: datetime
    deadline_at: datetime
    version: int = 1
    """Raised by whatever ends it: a decision is made on the version that was seen."""
    state: ReviewState = "in_review"
    ended_at: datetime | None = None
    reason: str | None = None
    detail: str | None = None

    @property
    def request(self) -> Request:
        """The request as it was made; of a rule what it asked for when the review was opened."""
        return Request(
            self.caller,
            self.request_id,
            self.subscription_id,
            self.offering_id,
            self.max_amount_minor,
            self.currency,
            tuple(self.payment_method_ids.split(",")),
            self.payer_id,
            origin="customer" if self.dunning_try is None else "rule",
            act_before=self.act_before,
            traceparent=self.traceparent,
            is_told=self.is_told,
            dunning_try=self.dunning_try,
            # As of requests that wait (waiting.py).
            is_bulk=self.is_told,
        )

    @property
    def is_a_rules(self) -> bool:
        return self.dunning_try is not None

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be decided: what is due is as good as refused."""
        return self.state == "in_review" and now < self.deadline_at

    def ended(self, state: ReviewState, now: datetime, why: Refusal | None = None) -> "Review":
        """What became of it; `why` tells of what was not approved."""
        reason, detail = why or (None, None)
        version = self.version + 1
        return self._replace(state=state, ended_at=now, version=version, reason=reason, detail=detail)


def review_of(answer: InReview, now: datetime) -> Review:
    """What is kept of it, for whoever decides."""
    asked, acceptance = answer.request, answer.acceptance
    methods = acceptance.to_review(asked.payment_method_ids)
    return Review(
        answer.renewal_id,
        asked.subscription_id,
        asked.caller,
        asked.request_id,
        asked.fingerprint,
        asked.offering_id,
        asked.max_amount_minor,
        asked.currency,
        ",".join(asked.payment_method_ids),
        asked.payer_id,
        answer.owner_id,
        answer.cycle,
        asked.dunning_try,
        asked.act_before,
        asked.traceparent,
        asked.is_told,
        acceptance.destination,
        acceptance.payer_country,
        ",".join(methods),
        ",".join(sorted({acceptance.kinds.get(method, "unknown") for method in methods})),
        now,
        answer.deadline_at,
    )


REVIEW_OPEN: Final = Refusal(
    "review_open",
    "Another request of this subscription is being reviewed. Wait until that is decided, or cancel it first.",
)
WITHDRAWN: Final = Refusal("customer_cancelled", "Whoever asked has withdrawn it before anybody decided.")
