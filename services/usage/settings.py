"""What usage is told by its environment."""

from pydantic import Field

from shared.settings import Settings as ServiceSettings


class Settings(ServiceSettings):
    """RECARGA_USAGE_<NAME>."""

    usage_threshold_percent: int = Field(
        10, ge=0, le=100, description="share of what a cycle granted at which its trigger is said"
    )
    usage_max_record_bytes: int = Field(2**40, ge=1, description="a larger record is refused")
    usage_max_ahead_seconds: int = Field(
        86_400, ge=0, description="a record that ends further in the future is refused"
    )
    usage_late_records_seconds: int = Field(
        172_800, ge=0, description="how long a lapsed bucket still takes records from before its end"
    )
    usage_max_kept_records: int = Field(
        100_000, ge=0, description="records of unknown ICCIDs that are kept until their subscription appears"
    )
