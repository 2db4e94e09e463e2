"""What of a value matters: all else would tell worlds apart that behave alike.

Instants. It always is NOW, and everything else lies before or after: nothing that is decided depends on how
far away an instant is, only on whether it has passed. So a value computed from NOW is replaced by one of
three. That time passes is a step of its own, which makes a FUTURE instant PAST. Where production relies on
one span being shorter than another (a lease outlasts its call), the step says so; everywhere else any order
is tried.

Reasons. Three are asked for by some rule; of all others it only matters whether somebody called it off.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from services.payment.domain.calls import NOTHING_FOUND
from services.payment.domain.outcome import OBJECT_GONE, REFUND_RETURNED
from services.renewal.domain.policy import CALLED_OFF
from shared.contracts.message import Message

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
FUTURE: Final = NOW + timedelta(days=1)
"""Farther away than any pause before a retry: those are compared with it."""
PAST: Final = NOW - timedelta(days=1)

AnyMessage = TypeVar("AnyMessage", bound=Message)


def coarse(value: Any) -> Any:
    """An instant as one of the three; anything else as it is."""
    if not isinstance(value, datetime):
        return value
    if value == NOW:
        return NOW
    return FUTURE if value > NOW else PAST


_COMPARED: Final = frozenset({NOTHING_FOUND, OBJECT_GONE, REFUND_RETURNED})
_CALLED_OFF: Final = "customer_cancelled"
ANY_OTHER: Final = "any"


def plain(reason: str | None) -> str | None:
    """A reason as far as any rule tells it from others."""
    if reason is None or reason in _COMPARED:
        return reason
    return _CALLED_OFF if reason in CALLED_OFF else ANY_OTHER


def plainly(message: AnyMessage) -> AnyMessage:
    """The message with coarse instants, a plain reason, and no version: by that only ids differ."""
    changes: dict[str, Any] = {name: coarse(value) for name, value in message if isinstance(value, datetime)}
    if "version" in type(message).model_fields:
        changes["version"] = 1
    if "reason" in type(message).model_fields:
        changes["reason"] = plain(vars(message)["reason"])
    return message.model_copy(update=changes)


def is_timely(message: Message) -> bool:
    """Whether it orders something that may still be begun."""
    return getattr(message, "act_before", PAST) > NOW


def too_late(message: AnyMessage) -> AnyMessage:
    """The same message after its time has passed on the way."""
    return message.model_copy(update={"act_before": PAST})
