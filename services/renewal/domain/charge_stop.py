"""The switch: where automatic charges are stopped, everywhere, for a brand or for a carrier."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal, NamedTuple

StopKind = Literal["everywhere", "brand", "carrier"]

EVERYWHERE: Final = "everywhere"


def scope_of(kind: StopKind, name: str | None = None) -> str:
    """What a stop is known by: `everywhere`, `brand ola`, `carrier cubacel`."""
    return EVERYWHERE if name is None else f"{kind} {name}"


class ChargeStop(NamedTuple):
    """Who stopped what, and why."""

    scope: str
    kind: StopKind
    name: str | None
    stopped_by: str
    stopped_at: datetime
    why: str


def stopping(stops: Collection[str], brand: str | None, carrier: str | None) -> str | None:
    """The scope among `stops` that stops automatic charges of this brand and carrier; None: none."""
    for scope in (EVERYWHERE, scope_of("brand", brand or ""), scope_of("carrier", carrier or "")):
        if scope in stops:
            return scope
    return None
