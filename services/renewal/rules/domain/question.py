"""A price above what was agreed to: what the payer is asked, and which answer lets the renewal go on."""

from datetime import datetime
from typing import Literal, NamedTuple

from services.renewal.domain.asking import Trigger
from services.renewal.rules.domain.mandate import Mandate, consent
from services.renewal.rules.domain.rule import Limits

TooLow = Literal["price_above_consent", "cap_charge"]
"""Whether the payer must agree to more, or the rule itself say more."""


class Question(NamedTuple):
    """What it costs, as the catalog said when it was refused. In minor units."""

    offering_id: str
    amount_minor: int
    currency: str

    @property
    def text(self) -> str:
        """As it is kept with the trigger."""
        return f"{self.offering_id} {self.amount_minor} {self.currency}"


def question_of(trigger: Trigger) -> Question | None:
    """What the payer was asked before this try; None where nothing was."""
    if trigger.asked is None:
        return None
    offering_id, amount_minor, currency = trigger.asked.split(" ")
    return Question(offering_id, int(amount_minor), currency)


def too_low(question: Question, limits: Limits, mandate: Mandate) -> TooLow | None:
    """Which limit of a single charge is still below the price; None: as much is agreed to by now."""
    if mandate.max_amount_minor < question.amount_minor:
        return "price_above_consent"
    return "cap_charge" if limits.cap_amount_minor < question.amount_minor else None


def is_answer(given: Mandate, question: Question, stood_on: Mandate | None, now: datetime) -> bool:
    """Whether a new consent is the answer: the same payer's as before, and to as much at least."""
    if stood_on is None or given.max_amount_minor < question.amount_minor:
        return False
    return consent(given, stood_on.payer_id, question.currency, now) is given


def in_words(question: Question, limits: Limits, mandate: Mandate) -> str:
    """The price beside both limits, and what is to be done about those that are below it."""
    price = f"{question.amount_minor} {question.currency}"
    told = (
        f"{question.offering_id} costs {price} in minor units; mandate {mandate.mandate_id} allows "
        f"{mandate.max_amount_minor}, the rule {limits.cap_amount_minor} per charge."
    )
    if mandate.max_amount_minor < question.amount_minor:
        told += f" Record a mandate of the payer for {question.amount_minor} or more."
    if limits.cap_amount_minor < question.amount_minor:
        told += f" Set the rule with a cap_amount_minor of {question.amount_minor} or more."
    return told
