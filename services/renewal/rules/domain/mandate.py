"""A mandate: the evidence of what a payer agreed to. Only its revocation is ever added to it."""

from datetime import datetime
from typing import Final, NamedTuple

from services.renewal.domain.admission import Refusal

BEFORE_MANDATES: Final = "before-mandates"
"""The text version of consent that was given where no text was kept: by rules from before mandates."""


class Mandate(NamedTuple):
    """Who agreed to which text, when and where, up to which price. Amounts in minor units."""

    subscription_id: str
    mandate_id: str
    payer_id: str
    text_version: str
    text_sha256: bytes | None
    """Of the text that was shown; None where none was kept."""
    channel: str
    given_at: datetime
    language: str
    max_amount_minor: int
    """Per charge."""
    currency: str
    valid_until: datetime | None
    recorded_by: str
    recorded_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    revoked_why: str | None = None

    @property
    def evidence(self) -> tuple[object, ...]:
        """What never changes: the same evidence again is the same mandate."""
        return self[: self._fields.index("recorded_by")]


def consent(mandate: Mandate | None, payer_id: str | None, currency: str, now: datetime) -> Mandate | Refusal:
    """The mandate, where it may be charged upon; else why not."""
    if mandate is None or mandate.payer_id != payer_id or mandate.currency != currency:
        return CONSENT_MISSING
    if mandate.revoked_at is not None:
        return CONSENT_REVOKED
    if mandate.valid_until is not None and mandate.valid_until <= now:
        return CONSENT_EXPIRED
    return mandate


CONSENT_MISSING: Final = Refusal(
    "consent_missing",
    "There is no mandate of the payer in this currency. Record one, and name it in the rule.",
)
CONSENT_REVOKED: Final = Refusal(
    "consent_revoked",
    "The payer has revoked the mandate. Ask for consent anew, record it, and name it in the rule.",
)
CONSENT_EXPIRED: Final = Refusal(
    "consent_expired",
    "The mandate is not valid any more. Ask for consent anew, record it, and name it in the rule.",
)
