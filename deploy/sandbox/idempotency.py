"""The memory of idempotency keys: a repeat gets the first answer, other parameters are refused."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .behaviours import REPLAYS_TOO
from .exchange import SECOND, Reply
from .faults import Firing

KEY_LIMIT: Final = 255


class Remembered(NamedTuple):
    """The first answer under a key. `body` is the request's, as it was sent."""

    path: str
    body: bytes
    status: int
    answer: bytes
    at: int
    answered_at: int  # later than `at` while a slow first call is still in progress
    spoiled: Firing | None  # replays arrive as badly as the first answer


@dataclass(slots=True)
class KeyMemory:
    """Keys of one server, forgotten `remembered_seconds` after their first use."""

    remembered_seconds: int
    answers: dict[str, Remembered] = field(default_factory=dict)
    order: deque[tuple[int, str]] = field(default_factory=deque)

    def recall(self, key: str, now: int) -> Remembered | None:
        held = self.answers.get(key)
        if held is None or held.at + self.remembered_seconds * SECOND <= now:
            return None
        return held

    def remember(
        self, key: str, path: str, body: bytes, reply: Reply, now: int, *, firing: Firing | None
    ) -> None:
        answered_at = now
        spoiled = None
        if firing is not None:
            answered_at = now + firing.delay_us if firing.behaviour.delivery == "slow" else now
            spoiled = firing if firing.times == REPLAYS_TOO else None
        self.answers[key] = Remembered(path, body, reply.status, reply.body, now, answered_at, spoiled)
        self.order.append((now, key))
        self.forget(now)

    def forget(self, now: int) -> None:
        """Drop what is past memory. The queue is there because a dict's first key is slow to find again."""
        horizon = now - self.remembered_seconds * SECOND
        order = self.order
        while order and order[0][0] <= horizon:
            at, key = order.popleft()
            held = self.answers.get(key)
            if held is not None and held.at == at:
                del self.answers[key]
