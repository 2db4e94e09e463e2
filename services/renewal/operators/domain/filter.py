"""Which renewals an operator looks for."""

from typing import Final, NamedTuple

from services.renewal.domain.renewal import CLOSED, State


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

    @property
    def takes_only_open(self) -> bool:
        """Whether nothing closed can match, so that only the few open ones have to be looked at."""
        if self.is_open is not None:
            return self.is_open
        return bool(self.state) and not CLOSED.intersection(self.state)


FILTERS: Final = ("state", "open", "brand", "carrier", "subscription_id", "reason", "older_than_seconds")
"""As they are named over HTTP."""
