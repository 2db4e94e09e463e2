"""What usage's HTTP API takes and answers."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from services.usage.domain.balance import Bucket
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
    cycle: Count = Field(0, description="top-ups that the subscription had already")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.remaining_bytes > self.granted_bytes:
            raise ValueError(
                "remaining_bytes is more than granted_bytes: less can be left than was granted, not more"
            )
        return self

    def bucket(self, bucket_id: str) -> Bucket:
        """The bucket as it is before it is kept."""
        return Bucket(
            bucket_id=bucket_id,
            cycle=self.cycle,
            stacking=None,
            granted_bytes=self.granted_bytes,
            initial_bytes=self.remaining_bytes,
            remaining_bytes=self.remaining_bytes,
            initial_expires_at=self.expires_at,
            expires_at=self.expires_at,
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
        description="at this or less, the trigger is said; null: never measured"
    )
    used_bytes: int
    overrun_bytes: int = Field(description="used while no bucket had anything left")
    buckets: list[BucketAnswer]


class UsageAnswer(Answer):
    """One usage record."""

    source: str
    record_id: str
    session_id: str | None
    bytes_up: int
    bytes_down: int
    country: str | None
    started_at: datetime
    ended_at: datetime
    refused_reason: str | None = Field(description="why it was not counted; null where it was")
