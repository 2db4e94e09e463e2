"""What usage's HTTP API takes and answers."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from services.usage.domain.balance import Granted
from shared.contracts.fields import Bytes, Count, GrantedBytes, Id, Instant
from shared.http.body import Answer, Body

RESERVED_PREFIX = "top-up-"


def not_reserved(bucket_id: str) -> str:
    """A bucket id that no top-up will ever have."""
    if bucket_id.startswith(RESERVED_PREFIX):
        raise ValueError(f"ids that begin with {RESERVED_PREFIX} belong to top-ups: choose another")
    return bucket_id


OwnBucketId = Annotated[Id, AfterValidator(not_reserved)]


class BucketBody(Body):
    """Data from before Recarga: what was granted, what of it is left, and when it lapses."""

    granted_bytes: GrantedBytes
    remaining_bytes: Bytes
    expires_at: Instant
    cycle: Count = Field(0, description="top-ups that the subscription had from Recarga already")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.remaining_bytes > self.granted_bytes:
            raise ValueError(
                "remaining_bytes is more than granted_bytes: less can be left than was granted, not more"
            )
        return self

    def granted(self, bucket_id: str, now: datetime) -> Granted:
        """The bucket as it is before it is kept."""
        return Granted(
            bucket_id=bucket_id,
            cycle=self.cycle,
            stacking=None,
            granted_bytes=self.granted_bytes,
            initial_bytes=self.remaining_bytes,
            expires_at=self.expires_at,
            began_at=now,
        )


class BucketItem(BucketBody):
    """One bucket of a bulk request."""

    subscription_id: Id
    bucket_id: OwnBucketId


class BucketAnswer(Answer):
    """A bucket as it is now."""

    bucket_id: str
    cycle: int
    granted_bytes: int
    remaining_bytes: int
    expires_at: datetime
    created_at: datetime


class BucketsAnswer(Answer):
    """Everything a subscription has. `remaining_bytes` leaves out what has lapsed."""

    subscription_id: str
    cycle: int
    remaining_bytes: int
    threshold_bytes: int | None = Field(
        description="at this or less, the trigger is said; null: never measured, or not wanted"
    )
    used_bytes: int
    overrun_bytes: int = Field(description="used while no bucket had anything left")
    owed_bytes: int = Field(description="the part of the overrun that the next bucket will pay")
    buckets: list[BucketAnswer]


class UsageAnswer(Answer):
    """One usage record, and what it took from which bucket."""

    source: str
    record_id: str
    session_id: str | None
    imei: str | None
    bytes_up: int
    bytes_down: int
    country: str | None
    started_at: datetime
    ended_at: datetime
    taken: dict[str, int] | None = Field(description="bytes by bucket; null where the carrier itself counts")
    overrun_bytes: int = Field(description="bytes that no bucket had")


class QuarantinedAnswer(Answer):
    """A record that was set aside, and why."""

    source: str
    record_id: str
    reason: str
    record: dict[str, Any]
    quarantined_at: datetime
