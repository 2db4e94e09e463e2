"""What a carrier's own system notifies: a threshold that was crossed there."""

from datetime import datetime
from typing import Final, Literal, get_args

from services.usage.domain.balance import Balance
from services.usage.domain.carrier import Carrier
from services.usage.domain.reconcile import AHEAD, Reported
from services.usage.domain.triggers import Kind
from shared.contracts.usage_records import ThresholdCrossed

CrossingResult = Literal[
    "said", "repeated", "early", "late", "in_future", "not_counting", "unknown_iccid", "dropped"
]
RESULTS: Final[tuple[CrossingResult, ...]] = get_args(CrossingResult)
"""`early`: more is left than its rule wants to hear of; `late`: of a cycle that is over; `not_counting`: of a
carrier that is not believed in this; `unknown_iccid`: kept until its subscription appears; `dropped`: too
many are kept already."""
KINDS: Final[dict[str, Kind]] = {"threshold": "threshold_reached", "exhausted": "exhausted"}


def remaining_bytes(crossed: ThresholdCrossed) -> int | None:
    """What it says is left; None where it does not say."""
    return 0 if crossed.kind == "exhausted" else crossed.remaining_bytes


def refusal(
    balance: Balance, crossed: ThresholdCrossed, carrier: Carrier, now: datetime
) -> CrossingResult | None:
    """Why nothing is said of it, whatever was said before; None where it counts."""
    if carrier.counting != "notifications":
        return "not_counting"
    if crossed.crossed_at > now + AHEAD:
        return "in_future"
    if balance.cycle_began_at is not None and crossed.crossed_at < balance.cycle_began_at:
        return "late"
    return None


def reported(crossed: ThresholdCrossed) -> Reported | None:
    """The crossing as a report of what was left then; None where it does not say."""
    remaining = remaining_bytes(crossed)
    return None if remaining is None else Reported(remaining, None, crossed.crossed_at)
