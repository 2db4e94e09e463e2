"""How patient the saga is, as data: budgets, delays, and what happens when a budget is spent.

Every number a support agent may be asked about is in the tables of `POLICY`; rules only read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from services.renewal.domain.burst import BURSTS, BurstLimits
from services.renewal.domain.renewal import State
from shared.contracts.fields import DeclineClass, Origin

ANY_OTHER: Final = "*"
"""The row for every reason that has none of its own: a gateway's codes are its own, and many."""
SOFT_DECLINE: Final = "soft_decline"
"""The row of `soft_decline_retries` for the renewal's origin."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow by `factor` up to a cap, each shortened at random by up to `jitter` of itself."""

    first_seconds: float
    factor: float
    cap_seconds: float
    jitter: float = 0.5

    def seconds(self, times: int, lot: float = 1.0) -> float:
        """The delay before repetition number `times`, counted from 0; `lot` is drawn from [0, 1)."""
        # Bounded before the power is taken: attempts may be many, floats overflow.
        grown = self.first_seconds * self.factor ** min(times, 32)
        return min(grown, self.cap_seconds) * (1 - self.jitter * (1 - lot))


WhenSpent = Literal[
    "give_up",  # through the authority: CancelPayment before the capture, CancelTopUp after it
    "park",  # a person must look
    "next_step",  # what comes next in the row of `declines`
]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long a step may fail for the reasons of a row, how long to wait meanwhile, what then.

    Each row counts for itself, and anew for another payment method.
    """

    budget: int | None
    """Failures that reached the provider; None: as many as fit into the deadline."""
    backoff: Backoff
    when_spent: WhenSpent = "give_up"
    deadline_seconds: float | None = None
    """No try later than this after the step began (a payment with the price, a top-up with the capture, a
    refund with being asked for). None: the renewal's own deadline, which gives it up whatever is planned."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence is borne in a state, and what follows `budget` questions without an answer."""

    backoff: Backoff
    budget: int | None = None
    """None: the renewal's deadline ends it."""
    when_spent: WhenSpent = "park"


DeclineStep = Literal["next_method", "retry_later", "ask_customer", "give_up"]


@dataclass(frozen=True, slots=True)
class Policy:
    """All of the saga's decisions that are numbers or preferences."""

    payment_retries: Mapping[str, Retry]
    """By the reason of PaymentAttemptFailed; `*` is every other."""
    top_up_retries: Mapping[str, Retry]
    """By the reason of TopUpAttemptFailed, alike."""
    refund_retries: Mapping[str, Retry]
    """By the reason of RefundAttemptFailed, alike. No renewal's deadline ends a refund: each has its own."""
    declines: Mapping[tuple[DeclineClass, Origin], tuple[DeclineStep, ...]]
    """What to do about a decline: the first step that is possible."""
    soft_decline_retries: Mapping[Origin, Retry]
    """How `retry_later` tries the same method again. No card is tried beyond its network's cap: payment's."""
    patience: Mapping[State, Patience]
    promise_seconds: float
    """Later than this the customer is told, once, that it takes longer."""
    deadline_seconds: Mapping[Origin, float]
    """Later than this it is given up and paid back. Who asks in person waits no shorter: they are told of the
    delay, and may call it off until the top-up is applied."""
    effect_seconds: float
    """How long an ordered effect may at least be acted upon, be the deadline as near as it will."""
    command_seconds: float
    """How long a command that gives up or gives back may be acted upon."""
    late_capture_seconds: float
    """How long the top-up may take where the money arrived while the renewal was being given up."""

    review_seconds: float = 24 * 3600
    """How long a request that a person decides about may wait for that."""

    bursts: BurstLimits = BURSTS
    """How many automatic renewals may begin before the breaker stops them."""

    shortest_patience: timedelta = field(init=False)
    """No silence is due sooner than this after something was heard, nor a promise after it began."""

    refund_seconds: float = field(init=False)
    """How long a refund is tried again, as long as its failures have no row of their own."""

    def __post_init__(self) -> None:
        refunds = {reason: retry.deadline_seconds for reason, retry in self.refund_retries.items()}
        if None in refunds.values():
            raise ValueError("a refund that is tried again has a deadline of its own")
        object.__setattr__(self, "refund_seconds", refunds[ANY_OTHER])
        silence = min(patience.backoff.seconds(0) for patience in self.patience.values())
        shortest = timedelta(seconds=min(silence, self.promise_seconds))
        object.__setattr__(self, "shortest_patience", shortest)


def row_of(rows: Mapping[str, Retry], reason: str) -> str:
    """The row by which a failure is counted and tried again."""
    return reason if reason in rows else ANY_OTHER


class Moment(NamedTuple):
    """When and under which policy a decision is taken. `jitter` is the lot drawn for it, in [0, 1)."""

    at: datetime
    policy: Policy
    jitter: float = 0.5

    def after(self, seconds: float) -> datetime:
        return self.at + timedelta(seconds=seconds)


# Silence is counted from what was last heard: no lot is drawn, so that it is due when the page says.
_ASKING: Final = Patience(Backoff(first_seconds=30, factor=2, cap_seconds=300, jitter=0), budget=None)
# Together longer than the authorities' resolution deadlines (minutes): they must have answered by then.
_CANCELLING: Final = Patience(
    Backoff(first_seconds=30, factor=2, cap_seconds=600, jitter=0), budget=12, when_spent="park"
)
# Together longer than the day in which payment finds out what became of a refund.
_REFUNDING: Final = Patience(
    Backoff(first_seconds=60, factor=2, cap_seconds=3600, jitter=0), budget=31, when_spent="park"
)
_FAILING: Final = Retry(
    budget=5,
    backoff=Backoff(first_seconds=2, factor=2, cap_seconds=60, jitter=0.5),
    when_spent="give_up",
)
# Said of how fast we are, not of this renewal: nothing of it is refused, so only its deadline gives it up.
_TOO_FAST: Final = Retry(
    budget=None,
    backoff=Backoff(first_seconds=5, factor=2, cap_seconds=60, jitter=0.5),
    when_spent="give_up",
)

POLICY: Final = Policy(
    payment_retries={ANY_OTHER: _FAILING, "rate_limited": _TOO_FAST},
    top_up_retries={ANY_OTHER: _FAILING, "rate_limited": _TOO_FAST},
    refund_retries={
        ANY_OTHER: Retry(
            budget=None,
            backoff=Backoff(first_seconds=5, factor=2, cap_seconds=3600, jitter=0.5),
            when_spent="park",
            deadline_seconds=24 * 3600,
        ),
    },
    declines={
        ("soft", "customer"): ("next_method", "retry_later", "give_up"),
        ("soft", "rule"): ("next_method", "retry_later", "give_up"),
        ("hard", "customer"): ("next_method", "give_up"),
        ("hard", "rule"): ("next_method", "give_up"),
        ("needs_customer", "customer"): ("ask_customer", "next_method", "give_up"),
        ("needs_customer", "rule"): ("next_method", "ask_customer", "give_up"),
    },
    soft_decline_retries={
        "customer": Retry(
            budget=1,
            backoff=Backoff(first_seconds=30, factor=1, cap_seconds=30, jitter=0.5),
            when_spent="next_step",
        ),
        "rule": Retry(
            budget=2,
            backoff=Backoff(first_seconds=600, factor=2, cap_seconds=1800, jitter=0.5),
            when_spent="next_step",
        ),
    },
    patience={
        "requested": _ASKING,
        "priced": _ASKING,
        "captured": _ASKING,
        "cancelling_payment": _CANCELLING,
        "cancelling_top_up": _CANCELLING,
        "refunding": _REFUNDING,
    },
    promise_seconds=180,
    deadline_seconds={"customer": 60 * 60, "rule": 60 * 60},
    effect_seconds=60,
    command_seconds=10 * 60,
    late_capture_seconds=5 * 60,
)

CALLED_OFF: Final = frozenset(
    {"customer_cancelled", "deadline_passed", "operator_cancelled", "operator_refunded"}
)
"""Reasons after which a capture that came too late is given back, and the renewal ends `cancelled`.

After any other reason it ends `failed`, and a capture that came too late is used: the payer wanted it.
"""
