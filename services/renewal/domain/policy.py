"""How patient the saga is, as data: budgets, delays, and what happens when a budget is spent.

Every number a support agent may be asked about is in the tables of `POLICY`; rules only read them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from services.renewal.domain.renewal import State
from shared.contracts.fields import DeclineClass, Origin


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow by `factor` up to a cap, each shortened by up to half at random."""

    first_seconds: float
    factor: float
    cap_seconds: float

    def seconds(self, times: int, jitter: float = 1.0) -> float:
        """The delay before repetition number `times`, counted from 0; `jitter` is in [0, 1)."""
        # Bounded before the power is taken: attempts may be many, floats overflow.
        grown = self.first_seconds * self.factor ** min(times, 32)
        return min(grown, self.cap_seconds) * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step may fail at its provider, and how long to wait in between."""

    budget: int
    backoff: Backoff


@dataclass(frozen=True, slots=True)
class Patience:
    """How long silence is borne in a state; after `budget` questions without answer it is parked."""

    backoff: Backoff
    budget: int | None = None
    """None: the renewal's deadline ends it."""


DeclineStep = Literal["next_method", "retry_later", "ask_customer", "give_up"]


@dataclass(frozen=True, slots=True)
class Policy:
    """All of the saga's decisions that are numbers or preferences."""

    payment_retries: Mapping[str, Retry]
    top_up_retries: Mapping[str, Retry]
    declines: Mapping[tuple[DeclineClass, Origin], tuple[DeclineStep, ...]]
    """What to do about a decline: the first step that is possible."""
    soft_decline_retries: Mapping[Origin, Retry]
    refund_backoff: Backoff
    refund_seconds: float
    """How long a refund is tried again before a person must look."""
    patience: Mapping[State, Patience]
    promise_seconds: float
    """Later than this the customer is told, once, that it takes longer."""
    deadline_seconds: Mapping[Origin, float]
    effect_seconds: float
    """How long an ordered effect may at least be acted upon, be the deadline as near as it will."""
    command_seconds: float
    """How long a command that gives up or gives back may be acted upon."""
    late_capture_seconds: float
    """How long the top-up may take where the money arrived while the renewal was being given up."""

    shortest_patience: timedelta = field(init=False)
    """No silence is due sooner than this after something was heard."""

    def __post_init__(self) -> None:
        shortest = min(patience.backoff.seconds(0) for patience in self.patience.values())
        object.__setattr__(self, "shortest_patience", timedelta(seconds=shortest))

    def payment_retry(self, reason: str) -> Retry:
        return self.payment_retries.get(reason) or self.payment_retries["*"]

    def top_up_retry(self, reason: str) -> Retry:
        return self.top_up_retries.get(reason) or self.top_up_retries["*"]


class Moment(NamedTuple):
    """When and under which policy a decision is taken. `jitter` is random, in [0, 1)."""

    at: datetime
    policy: Policy
    jitter: float = 0.5

    def after(self, seconds: float) -> datetime:
        return self.at + timedelta(seconds=seconds)


_ASKING: Final = Backoff(first_seconds=30, factor=2, cap_seconds=300)
# Together longer than the authorities' resolution deadlines (an hour): they must have answered by then.
_CANCELLING: Final = Patience(Backoff(first_seconds=30, factor=2, cap_seconds=600), budget=12)

POLICY: Final = Policy(
    payment_retries={
        "*": Retry(budget=5, backoff=Backoff(first_seconds=2, factor=2, cap_seconds=60)),
        "rate_limited": Retry(budget=8, backoff=Backoff(first_seconds=5, factor=2, cap_seconds=60)),
    },
    top_up_retries={
        "*": Retry(budget=5, backoff=Backoff(first_seconds=2, factor=2, cap_seconds=60)),
        "rate_limited": Retry(budget=8, backoff=Backoff(first_seconds=5, factor=2, cap_seconds=60)),
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
        "customer": Retry(budget=1, backoff=Backoff(first_seconds=30, factor=1, cap_seconds=30)),
        "rule": Retry(budget=2, backoff=Backoff(first_seconds=600, factor=2, cap_seconds=1800)),
    },
    refund_backoff=Backoff(first_seconds=5, factor=2, cap_seconds=3600),
    refund_seconds=24 * 3600,
    patience={
        "requested": Patience(_ASKING),
        "priced": Patience(_ASKING),
        "captured": Patience(_ASKING),
        "cancelling_payment": _CANCELLING,
        "cancelling_top_up": _CANCELLING,
        "refunding": Patience(Backoff(first_seconds=60, factor=2, cap_seconds=3600), budget=24),
    },
    promise_seconds=180,
    deadline_seconds={"customer": 15 * 60, "rule": 60 * 60},
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
