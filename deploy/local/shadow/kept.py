"""Rules and mandates as they lie on the shelf: what a file says of them, and what only a service knows."""

from datetime import datetime

from services.renewal.rules.domain.mandate import BEFORE_MANDATES, Mandate
from services.renewal.rules.domain.rule import Pause, RenewalRule
from services.renewal.rules.views import BulkRule, Language, PauseView
from shared.contracts.fields import ChargeMinor, Currency, Id, Instant
from shared.http.body import Body


class KeptRule(BulkRule):
    """A rule. No file says that one is paused."""

    paused: PauseView | None = None

    @property
    def rule(self) -> RenewalRule:
        pause = None if self.paused is None else Pause(**self.paused.model_dump())
        return RenewalRule(self.subscription_id, 1, self.instruction, self.mandate_id, pause)


class KeptMandate(Body):
    """A mandate. No file says that one is revoked, or names one without a text."""

    subscription_id: Id
    mandate_id: Id
    payer_id: Id
    text_version: Id
    text_sha256: str | None
    channel: Id
    given_at: Instant
    language: Language
    max_amount_minor: ChargeMinor
    currency: Currency
    valid_until: Instant | None = None
    revoked_at: Instant | None = None

    def mandate(self, began_at: datetime) -> Mandate:
        """The evidence. Where it is the word of whoever brought the rule it holds from the beginning on.

        What the service has kept as its instant is that of the import.
        """
        text = self.text_sha256
        return Mandate(
            self.subscription_id,
            self.mandate_id,
            self.payer_id,
            self.text_version,
            None if text is None else bytes.fromhex(text),
            self.channel,
            min(self.given_at, began_at) if text is None else self.given_at,
            self.language,
            self.max_amount_minor,
            self.currency,
            self.valid_until,
            "import",
            began_at,
            self.revoked_at,
        )


def word_of_the_importer(rule: RenewalRule, owner_id: str, began_at: datetime) -> Mandate:
    """As the import has it: whoever brings a rule without a mandate answers for the consent."""
    says = rule.says
    return Mandate(
        rule.subscription_id,
        BEFORE_MANDATES,
        owner_id,
        BEFORE_MANDATES,
        None,
        "api",
        began_at,
        "und",
        says.cap_amount_minor,
        says.currency,
        says.valid_until,
        "import",
        began_at,
    )
