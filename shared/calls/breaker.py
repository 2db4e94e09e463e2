"""Whether a gateway is worth calling: a pure state machine, told the time and the lot by its owner.

    closed --failures--> open --after a while, one call--> probing --it answers--> recovering --> closed
                          ^                                   |                        |
                          +------------ it fails -------------+------- failures -------+

A failure is a call that did not reach the gateway, timed out, or was answered by 5xx: whatever else a gateway
answers, a decline included, says that it works. While recovering, the calls at once double step by step.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal, NamedTuple

State = Literal["closed", "recovering", "probing", "open"]
STATES: Final[tuple[State, ...]] = ("closed", "recovering", "probing", "open")
"""From well to worst: the metric's value is the place in here."""

_FAILURES_WHILE_RECOVERING: Final = 2
_MOST_DOUBLINGS: Final = 16


class Sign(Enum):
    """What a call tells about the gateway itself."""

    ANSWERED = auto()
    FAILED = auto()
    NOTHING = auto()  # it was not asked


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and how it closes again. Seconds; `share` of 1."""

    failures: int = 5
    """In a row."""
    share: float = 0.5
    """Or so many of the calls since the first failure of a window, if they are at least `sample`."""
    sample: int = 20
    window_seconds: float = 10.0
    first_seconds: float = 1.0
    """Until the first probe; each that fails doubles it."""
    longest_seconds: float = 30.0
    step_seconds: float = 1.0
    """Recovering: one call at once in the first step, twice as many in each that follows."""

    def pause_seconds(self, openings: int, lot: float) -> float:
        """How long to stay open for the n-th time (from 1) without a recovery; `lot` is random in [0, 1)."""
        grown = self.first_seconds * 2.0 ** min(openings - 1, _MOST_DOUBLINGS)
        return min(grown, self.longest_seconds) * (0.5 + lot / 2)


class Breaker(NamedTuple):
    """One gateway as one process sees it. Instants are seconds of any clock that never goes back.

    `epoch` rises with every change of state: what a call tells counts only in the epoch in which it began,
    so that answers to calls of before an outage neither end nor prolong it.
    """

    state: State = "closed"
    epoch: int = 0
    since: float = 0.0
    """Closed: the first failure of the window. Otherwise when this state began."""
    in_a_row: int = 0
    failed: int = 0
    answered: int = 0
    probe_at: float = 0.0
    openings: int = 0

    @property
    def is_calm(self) -> bool:
        """Closed, and no failure is remembered: an answer is no news."""
        return self.state == "closed" and not self.failed and not self.in_a_row

    def most(self, now: float, usual: int, policy: BreakerPolicy) -> int:
        """How many calls at once it bears now, where `usual` is what it bears when it is well."""
        match self.state:
            case "closed":
                return usual
            case "recovering":
                steps = int((now - self.since) / policy.step_seconds)
                return min(usual, 1 << min(max(steps, 0), _MOST_DOUBLINGS))
            case "open":
                return 1 if now >= self.probe_at else 0
            case "probing":
                return 0

    def aged(self, now: float, usual: int, policy: BreakerPolicy) -> "Breaker":
        """Closed again once it bears as much as it did when it was well."""
        if self.state == "recovering" and self.most(now, usual, policy) >= usual:
            return Breaker(epoch=self.epoch + 1)
        return self

    def begun(self, now: float) -> "Breaker":
        """The breaker as a call begins under it, which `most` has allowed: of an open one it is the probe."""
        if self.state != "open":
            return self
        return self._replace(state="probing", epoch=self.epoch + 1, since=now)

    def heard(self, sign: Sign, epoch: int, now: float, policy: BreakerPolicy, lot: float) -> "Breaker":
        """The breaker after a call that began in `epoch`."""
        if epoch != self.epoch or self.state == "open":
            return self
        if self.state == "probing":
            return self._after_probe(sign, now, policy, lot)
        if sign is Sign.FAILED:
            return self._failed(now, policy, lot)
        if sign is Sign.NOTHING or not self.in_a_row + self.failed:
            return self
        if self._is_long_ago(now, policy):
            return Breaker(epoch=self.epoch)
        return self._replace(in_a_row=0, answered=self.answered + 1)

    def _after_probe(self, sign: Sign, now: float, policy: BreakerPolicy, lot: float) -> "Breaker":
        match sign:
            case Sign.ANSWERED:
                return Breaker("recovering", self.epoch + 1, now, openings=self.openings)
            case Sign.FAILED:
                return self._opened(now, policy, lot)
            case Sign.NOTHING:
                # A probe that asked nothing was none: the next call may be it.
                return self._replace(state="open", epoch=self.epoch + 1, probe_at=now)

    def _failed(self, now: float, policy: BreakerPolicy, lot: float) -> "Breaker":
        failing = self
        if not self.failed or self._is_long_ago(now, policy):
            # What was answered before is too long ago to count; what has failed in a row is not.
            since = now if self.state == "closed" else self.since
            failing = self._replace(since=since, failed=0, answered=0)
        failing = failing._replace(in_a_row=failing.in_a_row + 1, failed=failing.failed + 1)
        return failing._opened(now, policy, lot) if failing._is_too_much(policy) else failing

    def _is_too_much(self, policy: BreakerPolicy) -> bool:
        allowed = policy.failures
        if self.state == "recovering":
            allowed = min(allowed, _FAILURES_WHILE_RECOVERING)
        calls = self.failed + self.answered
        return self.in_a_row >= allowed or (calls >= policy.sample and self.failed >= policy.share * calls)

    def _is_long_ago(self, now: float, policy: BreakerPolicy) -> bool:
        return self.state == "closed" and now - self.since > policy.window_seconds

    def _opened(self, now: float, policy: BreakerPolicy, lot: float) -> "Breaker":
        openings = self.openings + 1
        probe_at = now + policy.pause_seconds(openings, lot)
        return Breaker("open", self.epoch + 1, now, probe_at=probe_at, openings=openings)
