"""What usage is told by its environment."""

from pydantic import Field

from shared.settings import Settings as ServiceSettings


class Settings(ServiceSettings):
    """RECARGA_USAGE_<NAME>."""

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
        100_000, ge=0, description="records of unknown ICCIDs that are kept until their subscription appears"
    )
    usage_batch_records: int = Field(
        2000, ge=1, description="usage records that one transaction counts at most"
    )
