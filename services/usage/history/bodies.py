"""What the API of history and forecast answers."""

from datetime import datetime

from pydantic import Field

from services.usage.domain.triggers import Kind
from shared.http.body import Answer
from shared.http.paging import Page


class HistoryLine(Answer):
    """One event of a bucket, or what was used of it in one hour or day."""

    at: datetime = Field(description="of `used`: when the hour or day began")
    kind: str
    size_bytes: int = Field(description="above 0 what came, below what went")
    records: int | None = Field(description="of `used`: how many took something")
    expires_at: datetime | None = Field(description="of an event: when the bucket lapsed from then on")


class HistoryAnswer(Page[HistoryLine]):
    """Oldest first. Over all pages, sizes add up to what is left."""

    subscription_id: str
    bucket_id: str
    cycle: int
    granted_bytes: int
    remaining_bytes: int
    events_bytes: int = Field(description="sum of all events")
    used_bytes: int = Field(description="sum of what all records took")
    forgotten_bytes: int = Field(
        description="taken by records of days that are no longer kept, of a bucket that is older"
    )
    unexplained_bytes: int = Field(description="0, or our books are wrong")


class UsedAnswer(Answer):
    """What was used in one hour or day, by when it ended."""

    began_at: datetime
    bytes_up: int
    bytes_down: int
    records: int


class UsedByAnswer(Answer):
    """Every hour or day of the period, also those without usage."""

    subscription_id: str
    kept_from: datetime = Field(description="of what ended before that no record is kept: it shows as zero")
    items: list[UsedAnswer]


class NextTrigger(Answer):
    """What would be said next in this cycle, and when."""

    kind: Kind
    at: datetime


class ForecastAnswer(Answer):
    """What is to be expected at the present rate, without another top-up."""

    subscription_id: str
    cycle: int
    as_of: datetime
    remaining_bytes: int
    burnt_bytes: int = Field(description="used in the last burnt_seconds")
    burnt_seconds: int
    exhausted_at: datetime | None = Field(description="null: never at this rate, or nothing is left")
    expires_at: datetime | None = Field(description="when the last of what is left lapses")
    next_trigger: NextTrigger | None = Field(description="null: none, as far as can be seen")


class TriggerAnswer(Answer):
    """Something that was said of a cycle."""

    cycle: int
    kind: Kind
    remaining_bytes: int
    occurred_at: datetime
