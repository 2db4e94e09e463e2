"""The memory of idempotency keys: a repeat gets the first answer, other parameters are refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final, NamedTuple

from .behaviours import REPLAYS_TOO
from .exchange import SECOND, Reply
from .faults import Firing

KEY_LIMIT: Final = 255
SWEEP_EVERY: Final = 1024


class Remembered(NamedTuple):
    """The first answer under a key. `body` is the request's, as it was sent."""

    path: str
    body: bytes
    status: int
    answer: bytes
    at: int
    answered_at: int  # later than `at` while a slow first call is still in progress
    spoiled: Firing | None  # replays arrive as badly as the first answer
    about: tuple[Any, ...]  # what the journal says of it, said again of each replay


@dataclass(slots=True)
class KeyMemory:
    """Keys of one server, forgotten `remembered_seconds` after their first use."""

    remembered_seconds: int
    answers: dict[str, Remembered] = field(default_factory=dict)
    since_sweep: int = 0

    def recall(self, key: str, now: int) -> Remembered | None:
        held = self.answers.get(key)
        if held is None:
            return None
        if held.at + self.remembered_seconds * SECOND <= now:
            del self.answers[key]  # used again, it must stand last: keys stand in the order of their age
            return None
        return held

    def remember(
        self,
        key: str,
        path: str,
        body: bytes,
        reply: Reply,
        now: int,
        *,
        firing: Firing | None,
        about: tuple[Any, ...],
    ) -> None:
        answered_at = now
        spoiled = None
        if firing is not None:
            answered_at = now + firing.delay_us if firing.behaviour.delivery == "slow" else now
            spoiled = firing if firing.times == REPLAYS_TOO else None
        # A copy of the right size: orjson's own buffer is 1 KiB, and keeping it holds all of that.
        answer = b"%b" % reply.body
        self.answers[key] = Remembered(path, body, reply.status, answer, now, answered_at, spoiled, about)
        self.since_sweep += 1
        if self.since_sweep >= SWEEP_EVERY:
            self.forget(now)

    def forget(self, now: int) -> None:
        """Drop what is past memory. Rarely: the first key of a dict that lost many is slow to find."""
        self.since_sweep = 0
        horizon = now - self.remembered_seconds * SECOND
        past = list(takewhile(lambda key: self.answers[key].at <= horizon, self.answers))
        for key in past:
            del self.answers[key]
