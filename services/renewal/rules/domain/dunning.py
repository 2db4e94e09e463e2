"""Dunning: when a payment that a rule could not make is tried anew. Each try is a renewal of its own."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, cast

from pydantic import Field

from services.renewal.domain.asking import UNTIL, Trigger, TriggerKind
from services.renewal.domain.renewal import Renewal
from services.renewal.rules.domain.decision import Decision
from shared.contracts.message import Part

_DAY: Final = 86_400
MAX_TRIES: Final = 10

Failure = Literal["soft", "hard", "needs_customer"]
"""Why there was no payment: money may be there later; this card never pays again; its payer is wanted."""

Delays = Annotated[tuple[Annotated[int, Field(ge=1, le=31 * _DAY)], ...], Field(max_length=MAX_TRIES - 1)]
"""From each failed try to the next, in seconds. After the last one the rule is paused."""


class Dunning(Part):
    """When a failed payment is tried anew, by why it failed last."""

    soft_after_seconds: Delays = (_DAY, 2 * _DAY, 4 * _DAY)
    hard_after_seconds: Delays = (3 * _DAY, 4 * _DAY)
    """The payer is asked for another card at once; as soon as the rule names one it is tried."""
    needs_customer_after_seconds: Delays = (_DAY, 3 * _DAY)
    """The payer is asked at once, too."""

    def after(self, failure: Failure, dunning_try: int) -> timedelta | None:
        """How long after this try has failed the next one is due; None: it was the last."""
        delays: dict[Failure, tuple[int, ...]] = {
            "soft": self.soft_after_seconds,
            "hard": self.hard_after_seconds,
            "needs_customer": self.needs_customer_after_seconds,
        }
        seconds = delays[failure][dunning_try - 1 : dunning_try]
        return timedelta(seconds=seconds[0]) if seconds else None


HOUSE: Final = Dunning()
"""Of every rule that says nothing of its own."""

ASKS: Final[frozenset[Failure]] = frozenset({"hard", "needs_customer"})
"""After these waiting alone helps little: the payer is asked for another card."""

_FAILURES: Final[dict[str, Failure]] = {
    "declined_soft": "soft",
    "declined_hard": "hard",
    "declined_needs_customer": "needs_customer",
    "payment_attempts_spent": "soft",
    "deadline_passed": "needs_customer",
}


def failure_of(renewal: Renewal) -> Failure | None:
    """Why it was not paid; None where it ended for another reason than its payment.

    The deadline of what was priced passes because its payer did not answer, or because the payment failed
    at its provider for so long.
    """
    if renewal.amount_minor is None or renewal.captured_at is not None:
        return None
    return _FAILURES.get(renewal.reason or "")


def next_try(
    dunning: Dunning, failure: Failure, decision: Decision, renewal: Renewal, now: datetime
) -> Trigger | None:
    """What is kept of the failed try, for the next one; None: it was the last."""
    wait = dunning.after(failure, decision.dunning_try)
    if wait is None:
        return None
    terms = renewal.agreed
    return Trigger(
        renewal.subscription_id,
        decision.cycle,
        cast(TriggerKind, decision.kind),
        renewal.traceparent,
        held_by=UNTIL,
        dunning_try=decision.dunning_try + 1,
        not_before=now + wait,
        offering_id=terms.offering_id,
        declined=",".join(terms.payment_method_ids) if failure == "hard" else None,
    )
