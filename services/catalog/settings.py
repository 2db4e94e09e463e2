"""What the catalog is told by its environment."""

from pydantic import Field

from shared.settings import Settings as ServiceSettings


class Settings(ServiceSettings):
    """RECARGA_CATALOG_<NAME>."""

    catalog_price_notice_seconds: int = Field(
        300, ge=0, le=86_400, description="how far ahead a price is scheduled, at least"
    )
    catalog_change_lead_seconds: float = Field(
        5.0, ge=2, le=60, description="how long after it was written a change takes effect"
    )
    catalog_clock_skew_seconds: float = Field(
        1.0, ge=0, le=1.5, description="by how much the clocks of machines may differ"
    )
