"""What usage is told by its environment."""

from pydantic import Field, HttpUrl, model_validator

from shared.calls.limits import GatewayLimits
from shared.settings import Settings as ServiceSettings

POLL_HORIZON_SECONDS = 1.0
"""So long at most a question waits in a lane with a rate."""


class CarrierSettings(GatewayLimits):
    """One carrier that is asked what is left: where it is, and what it bears."""

    url: HttpUrl | None = Field(None, description="of carrier_url unless given")


class Settings(ServiceSettings):
    """RECARGA_USAGE_<NAME>."""

    carrier_url: HttpUrl = Field(HttpUrl("http://127.0.0.1:9200"), description="of every carrier")
    usage_carriers: dict[str, CarrierSettings] = Field(
        default_factory=dict,
        description="JSON, by the carrier's name in subscriptions; `*` is all that are not named, together",
    )
    usage_poll_connections: int = Field(32, ge=1, le=1_000, description="questions at once to each carrier")
    usage_poll_backlog: int = Field(
        500, ge=1, le=100_000, description="questions to each carrier waiting in this process"
    )
    usage_poll_look_seconds: float = Field(1.0, gt=0, le=60, description="between looks for balances to ask")
    usage_poll_call_seconds: float = Field(5.0, gt=0, description="the deadline of one question")
    usage_poll_lease_seconds: float = Field(
        60.0, gt=0, description="until a question that nobody came back from is asked again"
    )

    usage_threshold_percent: int = Field(
        10, ge=0, le=100, description="share of what a cycle granted at which its trigger is said"
    )
    usage_predicted_seconds: int = Field(
        900, ge=0, description="how long before data would be used up at the present rate that is said"
    )
    usage_expiring_seconds: int = Field(
        86_400, ge=0, description="how long before all that is left lapses that is said"
    )
    usage_max_record_bytes: int = Field(2**40, ge=1, description="a larger record is quarantined")
    usage_max_ahead_seconds: int = Field(
        86_400, ge=0, le=86_400, description="a record that ends further in the future is quarantined"
    )
    usage_record_days: int = Field(
        35,
        ge=2,
        le=400,
        description="days for which records are kept and repeats recognised; older ones are quarantined",
    )
    usage_late_records_seconds: int = Field(
        172_800, ge=0, description="how long a lapsed bucket still takes records from before its end"
    )
    usage_settle_seconds: int = Field(
        30,
        ge=0,
        description="a report so close before or after a top-up may or may not have it: it is passed over",
    )
    usage_max_kept_records: int = Field(
        100_000,
        ge=0,
        description="records of unknown ICCIDs that are kept until their subscription appears; as many of "
        "what carriers say of such",
    )
    usage_batch_records: int = Field(
        2000, ge=1, description="usage records that one transaction counts at most"
    )

    @model_validator(mode="after")
    def _lease_is_long_enough(self) -> "Settings":
        if self.usage_poll_lease_seconds <= self.usage_poll_call_seconds + POLL_HORIZON_SECONDS:
            raise ValueError("the lease of a poll must outlast its call, and the wait for a permit before it")
        return self
