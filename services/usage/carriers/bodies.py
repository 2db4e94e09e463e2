"""What the API of carriers' settings takes and answers."""

from datetime import datetime
from typing import Self

from pydantic import Field, model_validator

from services.usage.domain.carrier import Counting, Overrun
from shared.contracts.fields import Bytes, Count
from shared.http.body import Answer, Body

LONGEST_AHEAD_SECONDS = 400 * 86_400


class CarrierSettings(Body):
    """How one carrier's subscriptions are counted. A trigger that is null is never said for that reason."""

    counting: Counting = Field(
        description="records: we sum them; snapshots: the carrier reports what is left; "
        "notifications: it says that a threshold was crossed"
    )
    overrun: Overrun = Field("written_off", description="who bears what was used while nothing was left")
    threshold_percent: int | None = Field(None, ge=0, le=100, description="of what the cycle granted")
    threshold_bytes: Bytes | None = Field(None, description="with threshold_percent, whichever is more")
    predicted_seconds: int | None = Field(
        None, ge=1, le=LONGEST_AHEAD_SECONDS, description="before the data would be used up at its rate"
    )
    expiring_seconds: int | None = Field(
        None, ge=1, le=LONGEST_AHEAD_SECONDS, description="before all that is left lapses"
    )
    tolerance_bytes: Bytes = Field(
        0, description="where we count: a difference to the carrier's reports of so much is only measured"
    )
    poll_seconds: int | None = Field(
        None, ge=10, le=86_400, description="how often it is asked; null: it reports by itself"
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.poll_seconds is not None and self.counting != "snapshots":
            raise ValueError(
                "poll_seconds belongs to snapshots: leave it out, or let the carrier count by snapshots"
            )
        if self.tolerance_bytes and self.counting != "records":
            raise ValueError(
                "tolerance_bytes belongs to records: where the carrier counts, its word holds to the byte"
            )
        return self


class CarrierBody(CarrierSettings):
    """Settings, and which version of them they replace."""

    version: Count = Field(description="the one that was read; 0 where there are none yet")

    @property
    def settings(self) -> CarrierSettings:
        return CarrierSettings.model_construct(**self.model_dump(exclude={"version"}))


class CarrierAnswer(Answer):
    """The settings in force, and who set them."""

    carrier: str
    version: int
    counting: Counting
    overrun: Overrun
    threshold_percent: int | None
    threshold_bytes: int | None
    predicted_seconds: int | None
    expiring_seconds: int | None
    tolerance_bytes: int
    poll_seconds: int | None
    set_by: str
    set_at: datetime


class CarrierVersionAnswer(Answer):
    """What was set once."""

    version: int
    settings: CarrierSettings
    set_by: str
    set_at: datetime
