"""Which renewals an operator looks for."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from services.renewal.domain.renewal import CLOSED, Flag, Renewal, State

CaseName = Literal[
    "unresolved",  # payment could not learn in time whether money was taken
    "refund_returned",  # the refund was made, and the money came back
    "promise_broken",  # two authorities contradict each other
]
CASES: Final[Mapping[CaseName, Flag]] = {
    "unresolved": "unresolved",
    "refund_returned": "refund_failed_later",
    "promise_broken": "promise_broken",
}
"""What a person has to look into, by the flag that says so: it stays where it is seen until it is settled."""


def cases_of(renewal: Renewal) -> list[CaseName]:
    """What a person has to look into about this renewal, open or closed."""
    return [name for name, flag in CASES.items() if renewal.has_flag(flag)]


class Filter(NamedTuple):
    """Every condition that is set must hold; an empty one takes all."""

    state: tuple[State, ...] = ()
    """Any of these; none: all of them."""
    is_open: bool | None = None
    brand: str | None = None
    carrier: str | None = None
    subscription_id: str | None = None
    reason: str | None = None
    """Why it is given up, or why it is parked."""
    older_than_seconds: float | None = None
    """Asked for at least so long ago."""
    case: CaseName | None = None

    @property
    def takes_only_open(self) -> bool:
        """Whether nothing closed can match, so that only the few open ones have to be looked at."""
        if self.is_open is not None:
            return self.is_open
        return bool(self.state) and not CLOSED.intersection(self.state)


FILTERS: Final = (
    "state",
    "open",
    "brand",
    "carrier",
    "subscription_id",
    "reason",
    "older_than_seconds",
    "case",
)
"""As they are named over HTTP."""
