"""What a gateway bears, as settings say it."""

from pydantic import BaseModel, ConfigDict, Field

from shared.calls.breaker import BreakerPolicy


class GatewayLimits(BaseModel):
    """One gateway's limits; the defaults suit most. Each process has a breaker and connections of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    connections: int | None = Field(None, ge=1, le=1_000, description="calls at once in each process")
    calls_per_second: int | None = Field(
        None, ge=1, le=100_000, description="the most it sees in any second, from all processes together"
    )
    breaker_failures: int = Field(
        5, ge=1, description="calls in a row without an answer, or with a 5xx, that open the breaker"
    )
    breaker_share: float = Field(0.5, gt=0, le=1, description="or such a share of at least breaker_sample")
    breaker_sample: int = Field(20, ge=1)
    breaker_window_seconds: float = Field(10.0, gt=0, description="in which they are counted")
    breaker_first_seconds: float = Field(1.0, gt=0, description="until it is probed, longer each time")
    breaker_longest_seconds: float = Field(30.0, gt=0)
    recovery_step_seconds: float = Field(
        1.0, gt=0, description="after a good probe one call at once, and twice as many in every step"
    )

    @property
    def breaker(self) -> BreakerPolicy:
        return BreakerPolicy(
            failures=self.breaker_failures,
            share=self.breaker_share,
            sample=self.breaker_sample,
            window_seconds=self.breaker_window_seconds,
            first_seconds=self.breaker_first_seconds,
            longest_seconds=self.breaker_longest_seconds,
            step_seconds=self.recovery_step_seconds,
        )
