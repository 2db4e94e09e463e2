"""Provisioning's settings: which carriers there are, what they can do, and how long to wait for what."""

from pydantic import Field, HttpUrl, model_validator

from services.provisioning.topups.domain.attempt import Capabilities, Patience
from shared.archive import SHORTEST
from shared.calls.limits import GatewayLimits
from shared.runner import Settings as ServiceSettings


class CarrierSettings(GatewayLimits):
    """One carrier: where it is, what it can do and what it bears.

    `cancels`: what is called off is never applied after.
    """

    url: HttpUrl | None = Field(None, description="of carrier_url unless given")
    honours_keys: bool = True
    key_memory_seconds: float = Field(86_400.0, ge=0)
    queries: bool = True
    cancels: bool = True
    visibility_seconds: float = Field(
        0.0, ge=0, description="a top-up is found at most so long after it was made"
    )

    @property
    def can(self) -> Capabilities:
        return Capabilities(
            self.honours_keys, self.key_memory_seconds, self.queries, self.cancels, self.visibility_seconds
        )


class Settings(ServiceSettings):
    """Read from RECARGA_<NAME>; durations in seconds."""

    carrier_url: HttpUrl = Field(HttpUrl("http://127.0.0.1:9200"), description="of every carrier")
    provisioning_carriers: dict[str, CarrierSettings] = Field(
        default_factory=dict,
        description="JSON, by the carrier's name in subscriptions; `*` is all that are not named, together",
    )
    provisioning_connections: int = Field(256, ge=1, le=1_000, description="calls at once to each carrier")
    provisioning_backlog: int = Field(
        1_000, ge=1, le=100_000, description="calls to each carrier waiting in this process"
    )
    provisioning_poll_seconds: float = Field(1.0, gt=0, le=60, description="between looks for unclaimed rows")
    provisioning_send_window_seconds: float = Field(3.0, gt=0, description="from a claim to its last send")
    provisioning_call_seconds: float = Field(5.0, gt=0, description="the deadline of one call")
    provisioning_lease_seconds: float = Field(15.0, gt=0, description="longer than send window and call")
    provisioning_resolution_seconds: float = Field(
        120.0, gt=0, description="until an unknown outcome is undetermined; shorter than the saga's patience"
    )
    provisioning_repeats: int = Field(4, ge=1, le=100, description="calls under one key before asking")
    provisioning_archive_after_days: float = Field(
        35.0, ge=SHORTEST.days, description="since the last that happened to a decided top-up"
    )
    provisioning_archive_every_seconds: float = Field(
        21_600.0, gt=0, description="how often all open top-ups are looked through for decided ones"
    )
    provisioning_back_off_seconds: float = Field(0.5, gt=0)
    provisioning_back_off_cap_seconds: float = Field(15.0, gt=0)

    @model_validator(mode="after")
    def _lease_is_long_enough(self) -> "Settings":
        if (
            self.provisioning_lease_seconds
            <= self.provisioning_send_window_seconds + self.provisioning_call_seconds
        ):
            raise ValueError("the lease must outlast the send window and the call together")
        return self

    @property
    def patience(self) -> Patience:
        return Patience(
            send_window=self.provisioning_send_window_seconds,
            call=self.provisioning_call_seconds,
            lease=self.provisioning_lease_seconds,
            resolution=self.provisioning_resolution_seconds,
            repeats=self.provisioning_repeats,
            back_off=self.provisioning_back_off_seconds,
            back_off_cap=self.provisioning_back_off_cap_seconds,
        )
