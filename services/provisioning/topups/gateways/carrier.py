"""What every carrier's gateway offers, and which gateway serves which carrier."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from services.provisioning.topups.domain.attempt import Capabilities
from services.provisioning.topups.domain.findings import Finding
from services.provisioning.topups.domain.top_up import Order


class Carrier(Protocol):
    """One outside system. Every method makes one effectful request at most and never raises for an answer."""

    async def apply(self, order: Order, key: UUID) -> Finding:
        """Apply the top-up under that idempotency key."""
        ...

    async def cancel(self, order: Order, key: UUID) -> Finding:
        """Make sure that nothing is ever applied for this renewal, or learn that it was."""
        ...

    async def find(self, order: Order) -> Finding:
        """Whether the carrier has anything for this renewal."""
        ...

    async def look_up(self, order: Order, provider_reference: str) -> Finding:
        """What has become of a top-up that the carrier has named."""
        ...


OTHERS = "*"
"""The lane of every carrier that was not named."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A carrier with what it can do."""

    gateway: Carrier
    can: Capabilities


class Carriers:
    """The carriers by name; one that nobody named is served like `others`."""

    def __init__(self, named: Mapping[str, Connected], others: Connected) -> None:
        self._named = dict(named)
        self._others = others

    def __getitem__(self, name: str | None) -> Connected:
        return self._named.get(name, self._others) if name is not None else self._others

    @property
    def names(self) -> list[str]:
        """Those that were named: each has a lane of its own."""
        return list(self._named)

    def lane(self, name: str | None) -> str:
        """The lane in which calls to that carrier wait: its own, or that of all the others."""
        return name if name is not None and name in self._named else OTHERS
