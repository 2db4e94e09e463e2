"""Who must hear that data is running out: each kind once per cycle."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.usage.domain.balance import Balance
from shared.contracts.fields import MAX_BYTES
from shared.contracts.quotas import QuotaExhausted, QuotaThresholdReached

Kind = Literal["threshold_reached", "exhausted"]
KINDS: tuple[Kind, ...] = ("threshold_reached", "exhausted")


@dataclass(frozen=True, slots=True)
class Trigger:
    """Something to be said of a cycle, unless it was said before."""

    subscription_id: str
    cycle: int
    kind: Kind
    remaining_bytes: int
    threshold_bytes: int

    def message(self, occurred_at: datetime) -> QuotaThresholdReached | QuotaExhausted:
        """What goes to quotas.v1."""
        if self.kind == "exhausted":
            return QuotaExhausted(
                subscription_id=self.subscription_id,
                cycle=self.cycle,
                remaining_bytes=self.remaining_bytes,
                occurred_at=occurred_at,
            )
        return QuotaThresholdReached(
            subscription_id=self.subscription_id,
            cycle=self.cycle,
            remaining_bytes=self.remaining_bytes,
            occurred_at=occurred_at,
            threshold_bytes=self.threshold_bytes,
        )


def due(balance: Balance, now: datetime) -> list[Trigger]:
    """What holds of the balance now. Nothing, where no bucket was ever known: a guess must not buy data."""
    threshold = balance.threshold_bytes
    if threshold is None:
        return []
    remaining = min(balance.remaining_bytes(now), MAX_BYTES)
    if remaining > threshold:
        return []
    kinds = KINDS if remaining == 0 else KINDS[:1]
    return [
        Trigger(balance.subscription_id, balance.cycle, kind, remaining, min(threshold, MAX_BYTES))
        for kind in kinds
    ]
