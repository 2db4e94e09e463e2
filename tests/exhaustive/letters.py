"""The network between the services: a set of letters, each on its way to one reader.

A letter arrives at any time, in any order. One that is lost is one that never arrives: silence makes the
sender say the same again, and the same letter twice is one element of the set. A duplicate is delivered
and stays.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from services.renewal.domain.saga import MATRIX
from shared.contracts.message import Message
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment, ResolvePayment
from shared.contracts.payments import PaymentCaptured
from shared.contracts.prices import RenewalPriced
from shared.contracts.renewals import RenewalRequested
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp
from shared.contracts.topups import TopUpApplied
from tests.exhaustive.abstraction import is_timely, plainly, too_late

SAGA: Final = "renewal"
PAYMENT: Final = "payment"
PROVISIONING: Final = "provisioning"
CATALOG: Final = "catalog"

READERS: Final[dict[str, tuple[type[Message], ...]]] = {
    CATALOG: (RenewalRequested,),
    PAYMENT: (RenewalPriced, CapturePayment, CancelPayment, RefundPayment, ResolvePayment, TopUpApplied),
    PROVISIONING: (PaymentCaptured, ApplyTopUp, CancelTopUp, ResolveTopUp),
    SAGA: tuple(kind for kind in MATRIX if issubclass(kind, Message)),
}


class Letter(NamedTuple):
    to: str
    message: Message

    def __str__(self) -> str:
        message = self.message
        said = type(message).__name__
        for name in ("attempt", "payment_method_id", "decline_class", "reason", "decision"):
            value = getattr(message, name, None)
            if value is not None:
                said += f" {value}"
        if hasattr(message, "act_before") and not is_timely(message):
            said += " (too late)"
        return said


def letters(messages: Iterable[Message]) -> tuple[Letter, ...]:
    """What goes on its way when these are said: one letter to each reader."""
    return tuple(
        Letter(reader, plainly(message))
        for message in messages
        for reader, kinds in READERS.items()
        if isinstance(message, kinds)
    )


def delayed(letter: Letter) -> Letter | None:
    """The letter as it is when it arrives after its `act_before`; None where that changes nothing."""
    if not hasattr(letter.message, "act_before") or not is_timely(letter.message):
        return None
    if letter.to == SAGA:
        return None  # the saga acts on facts, however old
    return Letter(letter.to, too_late(letter.message))
