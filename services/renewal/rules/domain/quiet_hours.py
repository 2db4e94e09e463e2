"""When a night ends, on the clocks of a place."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from services.renewal.rules.domain.rule import QuietHours


def quiet_until(quiet: QuietHours | None, now: datetime) -> datetime | None:
    """When the quiet hours end in which `now` lies; None where it lies in none."""
    if quiet is None:
        return None
    local = now.astimezone(ZoneInfo(quiet.zone))
    if not _is_quiet(quiet, local.hour):
        return None
    end = local.replace(hour=quiet.to_hour, minute=0, second=0, microsecond=0, fold=0)
    if quiet.to_hour <= local.hour:
        # Days are added on the local clock: the night in which clocks are changed is longer or shorter.
        end += timedelta(days=1)
    if end.astimezone(UTC) <= now:
        # Clocks went back over the end and further, as at Troll, so that it comes once more.
        end = end.replace(fold=1)
    # Where clocks go forward over the end, the hours go straight on into the next quiet ones.
    return awake_at(quiet, end.astimezone(UTC))


def awake_at(quiet: QuietHours | None, instant: datetime) -> datetime:
    """The instant itself, or the end of the quiet hours in which it lies."""
    return quiet_until(quiet, instant) or instant


def _is_quiet(quiet: QuietHours, hour: int) -> bool:
    if quiet.from_hour < quiet.to_hour:
        return quiet.from_hour <= hour < quiet.to_hour
    return hour >= quiet.from_hour or hour < quiet.to_hour
