"""What the environment tells the renewal service. Durations in seconds."""

from pathlib import Path

from pydantic import Field, SecretStr

from services.renewal.text_messages.secrets import read_secrets
from shared.archive import SHORTEST
from shared.settings import Settings as SharedSettings
from shared.settings import read_secret


class Settings(SharedSettings):
    """RECARGA_RENEWAL_...; the saga's retries and patience are data in domain/policy.py."""

    renewal_promise_seconds: float = Field(180, gt=0, description="later than this the customer is told")
    renewal_manual_deadline_seconds: float = Field(60 * 60, gt=0, description="asked for by a person")
    renewal_automatic_deadline_seconds: float = Field(60 * 60, gt=0, description="asked for by a rule")
    renewal_patience_seconds: float = Field(
        30, gt=0, description="silence of catalog, payment or provisioning before they are asked again"
    )
    renewal_timer_tick_seconds: float = Field(0.25, gt=0, le=60)
    renewal_timers_per_tick: int = Field(
        50, ge=1, le=1000, description="bounds what is fired after an outage"
    )
    renewal_gather_seconds: float = Field(
        0.25, ge=0, le=5, description="how long the saga lets facts gather: most need nothing but recording"
    )
    renewal_batch_records: int = Field(2000, ge=1, le=5000, description="records read at once at most")
    renewal_proposal_seconds: float = Field(
        4 * 3600, gt=0, le=7 * 86_400, description="how long a second operator may approve a proposal"
    )
    renewal_review_seconds: float = Field(
        24 * 3600, gt=0, le=7 * 86_400, description="what the acceptance policy sends to review waits so long"
    )
    renewal_bulk_renewals: int = Field(
        10_000, ge=1, le=100_000, description="the most that one bulk job acts upon"
    )
    renewal_archive_after_days: float = Field(
        35.0, ge=SHORTEST.days, description="since a renewal was closed"
    )
    renewal_archive_every_seconds: float = Field(
        21_600.0, gt=0, description="how often all renewals are looked through for closed ones"
    )
    renewal_burst_subscription_renewals: int = Field(
        50, ge=1, description="automatic renewals of one subscription before the burst breaker stops them"
    )
    renewal_burst_subscription_seconds: int = Field(86_400, ge=60, le=86_400, description="within so long")
    renewal_burst_brand_renewals: int = Field(120_000, ge=1, description="the same for one brand")
    renewal_burst_brand_seconds: int = Field(300, ge=10, le=86_400)
    renewal_burst_renewals: int = Field(180_000, ge=1, description="the same for all together")
    renewal_burst_seconds: int = Field(300, ge=10, le=86_400)

    customer_link_url: str = Field(
        "http://127.0.0.1:18001/v1/customer-actions",
        pattern=r"^https?://[^\s?#]+$",
        max_length=200,
        description="where the links lead by which payers confirm or choose; `?token=` is added",
    )
    customer_link_secret_file: Path | None = Field(
        None, description="holds the secret that signs those links; without it there are none"
    )

    text_message_secret_files: dict[str, Path] = Field(
        {}, description="JSON: by the name of each SMS gateway that may send, the file of its secret"
    )
    renewal_text_message_tolerance_seconds: int = Field(
        300, ge=1, le=900, description="age of a text message's signature"
    )
    renewal_text_messages_per_hour: int = Field(
        5, ge=1, le=100, description="renewals that one number may ask for within an hour"
    )

    def text_message_secrets(self) -> dict[str, SecretStr]:
        """The secrets of the SMS gateways, by name.

        Raises:
            OSError: a file cannot be read.
            ValueError: a name or a secret is not fit, or two gateways have one secret.
        """
        return read_secrets(self.text_message_secret_files)

    def customer_link_secret(self) -> SecretStr | None:
        """The secret of payers' links; None where none is configured: then none is made or believed.

        Raises:
            OSError: the file cannot be read.
        """
        return read_secret(self.customer_link_secret_file)
