"""What the PSP and the carrier have in common: the state every call changes, and a call on its way through.

Pure: instants, and the salt of the ids, come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappush
from typing import Any, Final, NamedTuple

from .behaviours import OK, Behaviour
from .exchange import Document, Effect, Event, Reply
from .faults import FaultProfile, Firing, firing_of
from .idempotency import KeyMemory

NEVER: Final = 1 << 62
OK_FIRING: Final = firing_of(OK)


@dataclass(slots=True)
class Capabilities:
    """What the gateway can do: settable, so that each kind of gateway can be played."""

    honours_keys: bool = True
    can_query: bool = True
    can_cancel: bool = True
    keys_remembered_seconds: int = 86_400
    visible_after_seconds: float = 0.0

    def view(self) -> Document:
        return {name: getattr(self, name) for name in self.__slots__}


class Call:
    """One request while it is answered: what was asked, and the journal's columns about it."""

    __slots__ = (
        "amount",
        "document",
        "forced",
        "id",
        "key",
        "now",
        "operation",
        "query",
        "reference",
        "remember",
        "shown",
        "subject",
        "unit",
    )

    def __init__(self, operation: str, key: str | None, now: int, id_: str, query: dict[str, str]) -> None:
        self.operation = operation
        self.key = key
        self.now = now
        self.id = id_
        self.query = query
        self.document: Document = {}
        self.forced: Firing | None = None
        self.shown: Firing = OK_FIRING  # the behaviour that acted
        self.remember = True
        self.reference: str | None = None
        self.subject: str | None = None
        self.amount: int | None = None
        self.unit: str | None = None


class Route(NamedTuple):
    """`known`: the fields of the body that are read; the others are neither compared nor kept."""

    operation: str
    handle: Callable[[Any, Call], Reply]
    known: frozenset[str] = frozenset()
    needs: str = ""  # a capability


class Outcome(NamedTuple):
    """`document` is None where replaying must not read one: the body was refused."""

    reply: Reply
    call: Call
    document: Document | None


@dataclass(slots=True)
class State:
    """What both servers hold. `salt` makes the ids of one journal differ from those of another."""

    server: str
    salt: str
    faults: FaultProfile
    capabilities: Capabilities = field(default_factory=Capabilities)
    keys: KeyMemory = field(default_factory=lambda: KeyMemory(86_400))
    issued: int = 0
    due: list[tuple[int, int, str, str, str]] = field(default_factory=list)  # at, order, what, id, token
    misbehaved: dict[str, int] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    events_wanted: bool = False

    def new_id(self, prefix: str) -> str:
        self.issued += 1
        return f"{prefix}_{self.salt}{self.issued:06x}"

    def schedule(self, at: int, what: str, id_: str, token: str = "") -> None:
        self.issued += 1
        heappush(self.due, (at, self.issued, what, id_, token))

    def next_due(self) -> int:
        return self.due[0][0] if self.due else NEVER

    def shows(self, call: Call, chosen: tuple[Behaviour, int], subject: str) -> Firing:
        """The behaviour that acts on this executed call: a fault's, else the token's or ICCID's."""
        if call.forced is not None:
            return call.forced
        behaviour, times = chosen
        if behaviour is OK or (behaviour.operations and call.operation not in behaviour.operations):
            return OK_FIRING
        if times > 0:
            slot = f"{subject}/{behaviour.name}"
            seen = self.misbehaved.get(slot, 0)
            if seen >= times:
                return OK_FIRING
            self.misbehaved[slot] = seen + 1
        call.shown = firing_of(behaviour, times)
        return call.shown

    def emit(self, event_type: str, object_: Document, at: int, mischief: str = "") -> None:
        """A webhook, if anybody listens. A fault on the operation `webhook` outdoes the token's mischief."""
        if not self.events_wanted:
            return
        delay_us = 2_000_000
        firing = self.faults.fire("webhook") if self.faults.rules else None
        if firing is not None:
            mischief, delay_us = firing.behaviour.webhook, firing.delay_us
        self.events.append(Event(event_type, object_, at, mischief, delay_us))
