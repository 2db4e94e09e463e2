"""Buckets, stacking, overruns, burn and triggers agree with the slow world, step by step."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.usage.domain.balance import Balance, Granted, add_bucket, consume
from services.usage.domain.burn import UNBURNT, burn_more, burnt_bytes, exhausted_at
from services.usage.domain.triggers import Wants, next_due_at, take_due
from shared.contracts.fields import Stacking
from tests.unit.usage.slow_world import World, in_their_order
from tests.unit.usage.test_balance import LATE, NOW

HOUR = timedelta(hours=1)
MOST_TOP_UPS = 9
"""Names of more would not sort by their number."""


@dataclass
class Step:
    """Time passes, then something happens."""

    hours: int


@dataclass
class Use(Step):
    size: int
    late_hours: int
    flowed_hours: int


@dataclass
class TopUp(Step):
    size: int
    stacking: Stacking
    hours_left: int
    is_stated: bool
    """Whether the carrier says that it ends then; otherwise it was sold for so long."""

    def granted(self, cycle: int, now: datetime) -> Granted:
        sold_for = timedelta(hours=self.hours_left)
        return Granted(
            f"top-up-{cycle}",
            cycle,
            self.stacking,
            self.size,
            self.size,
            now + sold_for,
            now,
            None if self.is_stated else self.hours_left * 3600,
        )

    def happens(self, world: World, cycle: int, now: datetime) -> None:
        lasts = timedelta(hours=self.hours_left)
        world.top_up(cycle, self.size, self.stacking, lasts, now, is_stated=self.is_stated)


stackings: st.SearchStrategy[Stacking] = st.sampled_from(("extend", "queue", "replace"))
passing = st.integers(0, 40)
a_few = st.integers(0, 11)


def top_ups(hours: st.SearchStrategy[int]) -> st.SearchStrategy[TopUp]:
    """Carriers may state an end that has passed; nothing is sold for less than an hour."""
    size = st.integers(1, 50)
    return st.one_of(
        st.builds(TopUp, hours, size, stackings, st.integers(-24, 96), st.just(True)),
        st.builds(TopUp, hours, size, stackings, st.integers(1, 96), st.just(False)),
    )


steps = st.lists(
    st.one_of(
        st.builds(
            Use,
            hours=passing,
            size=st.integers(0, 60),
            late_hours=st.integers(0, 30),
            flowed_hours=st.integers(0, 3),
        ),
        top_ups(passing),
    ),
    max_size=14,
)
PERCENT, PREDICTED_SECONDS, EXPIRING_SECONDS = 20, 4 * 3600, 12 * 3600
WANTS = Wants(PERCENT, None, PREDICTED_SECONDS, EXPIRING_SECONDS)


@settings(deadline=None, max_examples=300)
@given(steps, st.booleans())
def test_whatever_happens_the_balance_is_what_the_slow_world_has(taken: list[Step], owes: bool) -> None:
    balance, world, now, cycle = Balance("sub-1"), World(owes, LATE), NOW, 0
    for step in taken:
        now += step.hours * HOUR
        if isinstance(step, Use):
            ended = now - step.late_hours * HOUR
            began = ended - step.flowed_hours * HOUR
            consume(balance, step.size, began, ended, owes_overrun=owes)
            balance.burn = burn_more(balance.burn, step.size, ended)
            world.use(step.size, began, ended)
        elif isinstance(step, TopUp) and cycle < MOST_TOP_UPS:
            cycle += 1
            add_bucket(balance, step.granted(cycle, now), now, LATE)
            step.happens(world, cycle, now)
        heaps = {heap.name: (heap.here, heap.lapses) for heap in world.heaps}
        assert {b.bucket_id: (b.remaining_bytes, b.expires_at) for b in balance.buckets} == heaps
        assert (balance.overrun_bytes, balance.owed_bytes) == (world.overrun, world.owed)
        assert balance.remaining_bytes(now) == world.left(now)
        said = take_due(balance, now, WANTS)
        assert {each.kind for each in said} == world.news(now, PERCENT, PREDICTED_SECONDS, EXPIRING_SECONDS)
        assert len(said) == len({each.kind for each in said})
        assert all(each.message.cycle == cycle for each in said)


@settings(deadline=None, max_examples=200)
@given(st.lists(top_ups(a_few), min_size=1, max_size=4))
def test_top_ups_in_any_order_end_in_the_buckets_of_the_slow_world_where_they_come_in_order(
    steps: list[TopUp],
) -> None:
    world, now, granted = World(False, LATE), NOW, []
    for cycle, step in enumerate(steps, start=1):
        now += step.hours * HOUR
        step.happens(world, cycle, now)
        granted.append(step.granted(cycle, now))
    heaps = [(heap.name, heap.here, heap.lapses) for heap in in_their_order(world.heaps)]
    for order in permutations(granted):
        balance = Balance("sub-1")
        for each in order:
            add_bucket(balance, each, now, LATE)
        assert [(b.bucket_id, b.remaining_bytes, b.expires_at) for b in balance.buckets] == heaps


kept: st.SearchStrategy[Stacking] = st.sampled_from(("extend", "queue"))
bought = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 40), kept), min_size=1, max_size=4)
flowed = st.lists(st.tuples(st.integers(-5, 60), st.integers(0, 40), st.integers(0, 40)), max_size=8)


@settings(deadline=None, max_examples=500)
@given(bought, flowed)
def test_late_records_leave_as_much_as_if_all_had_come_in_time(
    bought: list[tuple[int, int, Stacking]], flowed: list[tuple[int, int, int]]
) -> None:
    """Of a carrier that writes overruns off. Hours after the one before, bytes; hours, bytes, hours late.

    What comes even after a second top-up is not in it: buckets that are empty are forgotten by then.
    """
    top_ups, now = [], NOW
    for cycle, (hours, size, stacking) in enumerate(bought, start=1):
        now += hours * HOUR
        top_ups.append((now, cycle, TopUp(0, size, stacking, 24 * 365, False)))
    uses = []
    for ended, size, late in flowed:
        at = NOW + ended * HOUR
        following = [when for when, _, _ in top_ups if when > at]
        arrival = min([at + late * HOUR, *(when - HOUR / 2 for when in following[1:])])
        uses.append((at, size, arrival))

    world = World(False, LATE)
    in_time: list[tuple[datetime, int, TopUp | None]] = [
        *top_ups,
        *((at, size, None) for at, size, _ in uses),
    ]
    for at, number, step in sorted(in_time, key=lambda each: (each[0], each[2] is None)):
        if step is None:
            world.use(number, at, at)
        else:
            step.happens(world, number, at)

    balance = Balance("sub-1")
    as_it_came: list[tuple[datetime, int, datetime, TopUp | None]]
    as_it_came = [(at, cycle, at, step) for at, cycle, step in top_ups]
    as_it_came += [(arrival, size, at, None) for at, size, arrival in uses]
    for came, number, at, step in sorted(as_it_came, key=lambda each: (each[0], each[3] is None)):
        if step is None:
            consume(balance, number, at, at, owes_overrun=False)
        else:
            add_bucket(balance, step.granted(number, at), came, LATE)

    heaps = {heap.name: heap.here for heap in world.heaps if heap.here}
    assert {b.bucket_id: b.remaining_bytes for b in balance.buckets if b.remaining_bytes} == heaps
    assert balance.overrun_bytes == world.overrun


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1000)), max_size=12), st.integers(0, 25))
def test_the_rate_is_that_of_a_sliding_window(used: list[tuple[int, int]], hours: int) -> None:
    burn, world, now = UNBURNT, World(False, LATE), NOW + hours * HOUR + timedelta(minutes=17)
    for after, size in used:
        at = NOW + after * HOUR
        burn = burn_more(burn, size, at)
        world.burnt.append((at, size))
    assert burnt_bytes(burn, now) == world.rate(now)
    assert (exhausted_at(burn, 0, now) is None) == (world.rate(now) == 0)


@settings(deadline=None)
@given(steps)
def test_whoever_looks_only_when_it_is_due_misses_no_lapse(taken: list[Step]) -> None:
    """Between two steps nothing is used: all that can be news then is found at next_due_at.

    A record does not move it.
    """
    wants = Wants(PERCENT, None, None, EXPIRING_SECONDS)
    balance, world, now, cycle = Balance("sub-1"), World(False, LATE), NOW, 0
    due = None
    for step in taken:
        until = now + step.hours * HOUR
        while due is not None and due <= until:
            found = {each.kind for each in take_due(balance, due, wants)}
            assert found == world.news(due, PERCENT, 0, EXPIRING_SECONDS) - {"predicted"}
            due = next_due_at(balance, due, wants)
        now = until
        assert {each.kind for each in take_due(balance, now, wants)} == set()
        if isinstance(step, TopUp) and cycle < MOST_TOP_UPS:
            cycle += 1
            add_bucket(balance, step.granted(cycle, now), now, LATE)
            step.happens(world, cycle, now)
        elif isinstance(step, Use):
            consume(balance, step.size, now, now, owes_overrun=False)
            world.use(step.size, now, now)
        take_due(balance, now, wants)
        world.news(now, PERCENT, 0, EXPIRING_SECONDS)
        if isinstance(step, TopUp):
            due = next_due_at(balance, now, wants)
