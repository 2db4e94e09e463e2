"""Buckets, stacking, overruns, burn and triggers agree with the slow world, step by step."""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.usage.domain.balance import Balance, Granted, add_bucket, consume
from services.usage.domain.burn import UNBURNT, burn_more, burnt_bytes, exhausted_at
from services.usage.domain.triggers import Wants, next_due_at, take_due
from shared.contracts.fields import Stacking
from tests.unit.usage.slow_world import World
from tests.unit.usage.test_balance import DAY, LATE, NOW

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


@dataclass
class TopUp(Step):
    size: int
    stacking: Stacking
    days: int


stackings: st.SearchStrategy[Stacking] = st.sampled_from(("extend", "queue", "replace"))
passing = st.integers(0, 40)
steps = st.lists(
    st.one_of(
        st.builds(Use, hours=passing, size=st.integers(0, 60), late_hours=st.integers(0, 30)),
        st.builds(TopUp, hours=passing, size=st.integers(1, 50), stacking=stackings, days=st.integers(-1, 4)),
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
            at = now - step.late_hours * HOUR
            consume(balance, step.size, at, owes_overrun=owes)
            balance.burn = burn_more(balance.burn, step.size, at)
            world.use(step.size, at, at)
        elif isinstance(step, TopUp) and cycle < MOST_TOP_UPS:
            cycle += 1
            name, lapses = f"top-up-{cycle}", now + step.days * DAY
            add_bucket(
                balance, Granted(name, cycle, step.stacking, step.size, step.size, lapses, now), now, LATE
            )
            world.top_up(cycle, step.size, step.stacking, lapses, now)
        heaps = {heap.name: (heap.here, heap.lapses) for heap in world.heaps}
        assert {b.bucket_id: (b.remaining_bytes, b.expires_at) for b in balance.buckets} == heaps
        assert (balance.overrun_bytes, balance.owed_bytes) == (world.overrun, world.owed)
        assert balance.remaining_bytes(now) == world.left(now)
        said = take_due(balance, now, WANTS)
        assert {each.kind for each in said} == world.news(now, PERCENT, PREDICTED_SECONDS, EXPIRING_SECONDS)
        assert len(said) == len({each.kind for each in said})
        assert all(each.message.cycle == cycle for each in said)


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
    """Between two steps nothing is used: all that can be news then is found at next_due_at."""
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
            lapses = now + step.days * DAY
            granted = Granted(f"top-up-{cycle}", cycle, step.stacking, step.size, step.size, lapses, now)
            add_bucket(balance, granted, now, LATE)
            world.top_up(cycle, step.size, step.stacking, lapses, now)
        elif isinstance(step, Use):
            consume(balance, step.size, now, owes_overrun=False)
            world.use(step.size, now, now)
        take_due(balance, now, wants)
        world.news(now, PERCENT, 0, EXPIRING_SECONDS)
        due = next_due_at(balance, now, wants)
