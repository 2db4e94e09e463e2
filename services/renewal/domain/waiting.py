"""Requests that wait: somebody asked in person while a rule's renewal had the slot, which gives way."""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

from services.renewal.domain.admission import Refusal, Waits
from services.renewal.domain.asking import Request
from services.renewal.domain.policy import Policy

WaitState = Literal[
    "waiting",  # the rule's renewal is being called off
    "refused",  # it was completed after all, or something else stands in the way by now
    "withdrawn",  # whoever asked does not want it any more
]


class Waiting(NamedTuple):
    """One row: a request without a slot, and what became of it; once it is admitted there is none."""

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
    act_before: datetime | None
    traceparent: str | None
    is_told: bool
    gives_way: UUID
    """The renewal that is called off."""
    asked_at: datetime
    deadline_at: datetime
    state: WaitState = "waiting"
    ended_at: datetime | None = None
    reason: str | None = None
    detail: str | None = None

    @property
    def request(self) -> Request:
        """The request as it was made."""
        return Request(
            self.caller,
            self.request_id,
            self.subscription_id,
            self.offering_id,
            self.max_amount_minor,
            self.currency,
            tuple(self.payment_method_ids.split(",")),
            self.payer_id,
            act_before=self.act_before,
            traceparent=self.traceparent,
            is_told=self.is_told,
            # Who is told asked over Kafka. What waited of a bulk body over HTTP goes with people from now on.
            is_bulk=self.is_told,
        )

    def ended(self, state: WaitState, now: datetime, why: Refusal) -> "Waiting":
        return self._replace(state=state, ended_at=now, reason=why.reason, detail=why.detail)


def waits(asked: Request, answer: Waits, now: datetime, policy: Policy) -> Waiting:
    """What is kept of a request that waits."""
    deadline_at = now + timedelta(seconds=policy.deadline_seconds["customer"])
    if asked.act_before is not None:
        deadline_at = min(deadline_at, asked.act_before)
    return Waiting(
        asked.renewal_id,
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
        asked.act_before,
        asked.traceparent,
        asked.is_told,
        answer.gives_way,
        now,
        deadline_at,
    )


COMPLETED_AFTER_ALL: Final = Refusal(
    "automatic_completed",
    "The automatic renewal that was to give way was completed after all: the data is there. "
    "Ask again if more is wanted.",
)
WAITED_TOO_LONG: Final = Refusal(
    "waited_too_long",
    "The automatic renewal could not be called off in time. Ask again when it is closed.",
)
WITHDRAWN: Final = Refusal("customer_cancelled", "Whoever asked has withdrawn it before it was begun.")
