"""What a carrier's data is counted by: one row of settings per carrier, a default for all others."""

from dataclasses import dataclass
from typing import Literal

from services.usage.domain.triggers import Wants

Counting = Literal["records", "snapshots", "notifications"]
"""Who counts: we sum records; the carrier reports what remains; or it says that a threshold was crossed."""
Overrun = Literal["written_off", "next_bucket"]
"""Who bears what was used while nothing was left: nobody, or the next top-up's bucket."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """How one carrier's subscriptions are counted, and when it is said that they run out."""

    counting: Counting
    overrun: Overrun
    wants: Wants
    tolerance_bytes: int = 0
    """Where we count records: a difference to the carrier's reports of so much is only measured."""

    announces: Wants | None = None
    """Its own settings, where a rule's stand in `wants`: by these its system announces a threshold."""

    @property
    def announced_by(self) -> Wants:
        return self.announces or self.wants

    @property
    def owes_overrun(self) -> bool:
        return self.overrun == "next_bucket"
