"""The switch: where automatic charges are stopped, everywhere, for a brand, a carrier or one subscription."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal, NamedTuple

StopKind = Literal["everywhere", "brand", "carrier", "subscription"]

EVERYWHERE: Final = "everywhere"


def scope_of(kind: StopKind, name: str | None = None) -> str:
    """What a stop is known by: `everywhere`, `brand ola`, `carrier cubacel`, `subscription s-1`."""
    return EVERYWHERE if name is None else f"{kind} {name}"


class ChargeStop(NamedTuple):
    """Who stopped what, and why."""

    scope: str
    kind: StopKind
    name: str | None
    stopped_by: str
    stopped_at: datetime
    why: str


def stopping(
    stops: Collection[str], brand: str | None, carrier: str | None, subscription_id: str | None = None
) -> str | None:
    """The scope among `stops` that stops automatic charges of this subscription; None: none."""
    scopes = (
        EVERYWHERE,
        scope_of("brand", brand or ""),
        scope_of("carrier", carrier or ""),
        scope_of("subscription", subscription_id or ""),
    )
    return next((scope for scope in scopes if scope in stops), None)
