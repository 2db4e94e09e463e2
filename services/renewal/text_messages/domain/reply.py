"""A reply by text message: the word that is recognised in it, whom it speaks for, and what came of it."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args
from uuid import UUID

from services.renewal.domain.admission import Refusal

Word = Literal["renew", "stop"]

WORDS: Final[dict[str, Word]] = {
    "1": "renew",
    "renew": "renew",
    "renovar": "renew",
    "0": "stop",
    "stop": "stop",
    "stopall": "stop",
    "unsubscribe": "stop",
    "cancel": "stop",
    "end": "stop",
    "quit": "stop",
    "baja": "stop",
    "alto": "stop",
    "cancelar": "stop",
}
"""A message that says one of these and nothing else. The ways to opt out are those of every SMS programme."""

_AROUND: Final = " \t\r\n.!¡\"'"

Outcome = Literal[
    "renewing",  # a renewal was begun
    "in_review",  # a person decides whether it may be paid so; it is begun once they have
    "under_way",  # a renewal of the subscription was under way already: nothing was begun
    "stopped",  # its rule is paused
    "not_understood",  # no word of the table
    "refused",  # for a reason
]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


def word_of(text: str) -> Word | None:
    """The word that the message consists of, however it is written; None where it says anything else."""
    plain = unicodedata.normalize("NFKC", text).strip(_AROUND)
    return WORDS.get(plain.casefold())


class Reply(NamedTuple):
    """One row: a message as it came, without its text and its number, and what came of it."""

    gateway: str
    message_id: str
    fingerprint: bytes
    """Keyed with the gateway's secret: equal for the same number and text, and tells neither."""
    at: datetime
    number_ending: str
    """The last digits of the number that sent it."""
    word: Word | None
    outcome: Outcome
    subscription_id: str | None = None
    reason: str | None = None
    renewal_id: UUID | None = None


class Holder(NamedTuple):
    """A subscription that has, or had, the number."""

    subscription_id: str
    status: str
    owner_id: str


MOST_HOLDERS: Final = 20
"""Of one number. Where there are so many it names nobody."""


def addressed(holders: Sequence[Holder], word: Word) -> Holder | Refusal:
    """The one subscription that a message from their number speaks for: never a guess.

    Who opts out is heard even where the subscription is not active, as long as there is one.
    """
    if len(holders) >= MOST_HOLDERS:
        return NUMBER_AMBIGUOUS
    wanted = [one for one in holders if one.status == "active"]
    if not wanted and word == "stop":
        wanted = [one for one in holders if one.status != "terminated"]
    if len(wanted) > 1:
        return NUMBER_AMBIGUOUS
    if wanted:
        return wanted[0]
    return NOT_ACTIVE if holders else NUMBER_UNKNOWN


NUMBER_UNKNOWN: Final = Refusal(
    "number_unknown", "No subscription has this number. Write it to the subscription, in E.164."
)
NUMBER_AMBIGUOUS: Final = Refusal(
    "number_ambiguous", "Several subscriptions have this number. Take it away from those that it has left."
)
NOT_ACTIVE: Final = Refusal("subscription_not_active", "No subscription that has this number is active.")
TOO_MANY: Final = Refusal(
    "too_many_replies", "The number has asked as often as it may within an hour. Let it ask later."
)
