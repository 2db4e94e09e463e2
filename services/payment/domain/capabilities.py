"""What a gateway can do, as data; and how an unknown outcome is resolved, which follows from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(slots=True, frozen=True)
class Capabilities:
    """`visibility`: how long after a call its effect may still be invisible to a question."""

    honours_keys: bool
    key_memory: timedelta
    can_query: bool
    can_cancel: bool
    visibility: timedelta
    refuses_without_effect: frozenset[int]
    """HTTP statuses that say the request was turned away before anything was done."""

    @property
    def key_margin(self) -> timedelta:
        """A key is not trusted to the last moment: clocks differ, calls take time."""
        return max(timedelta(minutes=5), self.key_memory / 24)


GATEWAYS: dict[str, Capabilities] = {
    "sandbox": Capabilities(
        honours_keys=True,
        key_memory=timedelta(hours=24),
        can_query=True,
        can_cancel=True,
        visibility=timedelta(seconds=5),
        refuses_without_effect=frozenset({429, 503}),
    ),
}


class Resolution(StrEnum):
    """What may be done about a call whose outcome is unknown."""

    REPEAT = "repeat"  # the same call under the same key, then ask
    ASK = "ask"
    PARK = "park"  # neither helps: an operator finds out


def resolution(capabilities: Capabilities, first_sent_at: datetime, now: datetime) -> Resolution:
    """How to resolve a call that was first sent then."""
    remembered = capabilities.key_memory - capabilities.key_margin
    if capabilities.honours_keys and now - first_sent_at < remembered:
        return Resolution.REPEAT
    return Resolution.ASK if capabilities.can_query else Resolution.PARK


def is_quiet(capabilities: Capabilities, send_before: datetime, timeout: timedelta, now: datetime) -> bool:
    """Whether "nothing was done" can be believed: no call still under way, none still invisible."""
    return now > send_before + timeout + capabilities.visibility
