"""What the payment service is told by its environment, beside what every service is."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr, model_validator

from services.payment.domain.payment import Cadence, Patience
from services.payment.store import Lease
from shared.archive import SHORTEST
from shared.calls.limits import GatewayLimits
from shared.runner import Settings as ServiceSettings


class Settings(ServiceSettings):
    """Read from RECARGA_<NAME>; durations in seconds."""

    psp_url: HttpUrl = Field(HttpUrl("http://127.0.0.1:9100"), description="of the PSP that `gateway` names")
    webhook_secret_file: Path | None = Field(None, description="holds the secret that signs the webhooks")
    payment_gateway: str = Field(
        "sandbox", description="what the PSP at psp_url is: a name in capabilities.py"
    )
    payment_call_seconds: float = Field(5.0, gt=0, le=60, description="the deadline of one call")
    payment_limits: GatewayLimits = Field(GatewayLimits(), description="JSON: what the PSP bears")
    payment_connections: int = Field(
        256, ge=1, le=1_000, description="calls at once, where payment_limits tells none"
    )
    payment_backlog: int = Field(1_000, ge=1, le=100_000, description="calls waiting in this process")
    payment_poll_seconds: float = Field(1.0, gt=0, le=60, description="between looks for unclaimed rows")
    payment_send_window_seconds: float = Field(3.0, gt=0, description="from a claim to its last send")
    payment_lease_seconds: float = Field(
        20.0, gt=0, description="longer than the send window, a repeated call and a question together"
    )
    payment_resolution_seconds: float = Field(
        60.0, gt=0, description="an unknown capture is asked about so long, then its object is cancelled"
    )
    payment_back_off_seconds: float = Field(0.5, gt=0)
    payment_back_off_cap_seconds: float = Field(15.0, gt=0)
    payment_action_seconds: float = Field(82_800.0, gt=0, description="what a payer has to authenticate in")
    payment_question_seconds: float = Field(
        15.0,
        gt=0,
        description="until the PSP is first asked whether a payer has authenticated; then twice as long",
    )
    payment_question_cap_seconds: float = Field(
        300.0, gt=0, description="the longest pause between such questions"
    )
    payment_refund_seconds: float = Field(
        86_400.0, gt=0, description="a refund of unknown outcome is asked about so long, then it is a case"
    )
    payment_refund_pause_seconds: float = Field(
        3_600.0, gt=0, description="the longest pause between such questions"
    )
    payment_archive_after_days: float = Field(
        35.0, ge=SHORTEST.days, description="since the last that happened to a settled payment"
    )
    payment_archive_every_seconds: float = Field(
        21_600.0, gt=0, description="how often all open payments are looked through for settled ones"
    )
    payment_webhook_tolerance_seconds: int = Field(300, gt=0, description="age of a webhook's signature")

    @model_validator(mode="after")
    def _lease_is_long_enough(self) -> "Settings":
        if self.payment_lease_seconds <= self.payment_send_window_seconds + 2 * self.payment_call_seconds:
            raise ValueError("the lease must outlast the send window and two calls together")
        return self

    @property
    def psp_connections(self) -> int:
        """Calls at once to the PSP."""
        return self.payment_limits.connections or self.payment_connections

    @property
    def patience(self) -> Patience:
        return Patience(
            resolution=timedelta(seconds=self.payment_resolution_seconds),
            action=timedelta(seconds=self.payment_action_seconds),
            questions=Cadence(
                first=timedelta(seconds=self.payment_question_seconds),
                longest=timedelta(seconds=self.payment_question_cap_seconds),
            ),
            refund=timedelta(seconds=self.payment_refund_seconds),
            longest_refund_pause=timedelta(seconds=self.payment_refund_pause_seconds),
            first_pause=timedelta(seconds=self.payment_back_off_seconds),
            longest_pause=timedelta(seconds=self.payment_back_off_cap_seconds),
        )

    @property
    def lease(self) -> Lease:
        return Lease(
            held=timedelta(seconds=self.payment_lease_seconds),
            send=timedelta(seconds=self.payment_send_window_seconds),
        )

    def webhook_secret(self) -> SecretStr | None:
        """The secret that signs webhooks; None where none is configured: then every webhook is refused.

        Raises:
            OSError: the file cannot be read.
        """
        if self.webhook_secret_file is None:
            return None
        return SecretStr(self.webhook_secret_file.read_text(encoding="utf-8").strip())
