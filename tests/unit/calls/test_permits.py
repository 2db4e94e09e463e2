"""However many processes lease permits and however late they use them, no second sees more than the rate."""

import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from shared.calls.permits import LATE_SECONDS, SLOWEST_LEASE_SECONDS, Permits
from tests.rates import busiest_second


@dataclass
class Office:
    """What the statement `lease_permits` does, in memory."""

    taken_until: float = 0.0

    def lease(self, now: float, number: int, rate: float) -> list[float]:
        """The instants by the database's clock."""
        first = max(self.taken_until, now)
        self.taken_until = first + number / rate
        return [first + place / rate for place in range(number)]


@dataclass
class Process:
    """One that leases in blocks, learns late of what it got, and now and then stands still."""

    permits: Permits
    office: Office
    lots: random.Random
    sent: list[float] = field(default_factory=list)
    standing_still_until: float = 0.0

    def act(self, now: float) -> None:
        """Send all that may be sent now; there is always more to send."""
        if now < self.standing_still_until:
            return
        if self.lots.random() < 0.01:
            self.standing_still_until = now + self.lots.uniform(0, 2)
            return
        if len(self.permits) <= self.permits.block // 2:
            # The answer takes a while, and by then counts from when it came.
            delay = self.lots.uniform(0, SLOWEST_LEASE_SECONDS)
            leased = self.office.lease(now, self.permits.block, self.permits.rate)
            self.permits.grant(instant + delay for instant in leased)
        while (due_at := self.permits.due_at(now)) is not None and due_at <= now:
            self.permits.take()
            self.sent.append(now)


@given(st.integers(1, 200), st.integers(1, 4), st.integers(0, 10_000))
def test_no_second_sees_more_than_the_rate(rate: int, processes: int, seed: int) -> None:
    office = Office()
    together = [Process(Permits(rate), office, random.Random(seed + n)) for n in range(processes)]
    now = 0.0
    while now < 8.0:
        for one in together:
            one.act(now)
        now += 0.005
    assert busiest_second([instant for one in together for instant in one.sent]) <= rate


def test_one_process_with_enough_to_do_comes_close_to_its_share_of_the_rate() -> None:
    office, permits = Office(), Permits(50)
    sent, now = 0, 0.0
    while now < 10.0:
        if len(permits) <= permits.block // 2:
            permits.grant(office.lease(now, permits.block, permits.rate))
        while (due_at := permits.due_at(now)) is not None and due_at <= now:
            permits.take()
            sent += 1
        now += 0.001
    assert 395 <= sent <= 401


def test_what_was_not_used_in_time_is_lost() -> None:
    permits = Permits(10)
    permits.grant([1.0, 1.1, 1.2])
    assert permits.due_at(1.1 + LATE_SECONDS) == 1.1
    assert permits.due_at(5.0) is None
