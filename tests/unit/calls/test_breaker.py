"""The breaker: when it opens, what it lets through, and how it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calls.breaker import Breaker, BreakerPolicy, Sign

USUAL = 64
POLICY = BreakerPolicy(
    failures=3, share=0.5, sample=10, window_seconds=10.0, first_seconds=1.0, longest_seconds=8.0
)
ANSWERED, FAILED, NOTHING = Sign.ANSWERED, Sign.FAILED, Sign.NOTHING


def after(*signs: Sign, breaker: Breaker | None = None, now: float = 100.0, lot: float = 0.0) -> Breaker:
    """The breaker once these calls have ended, each begun under it as it then was."""
    breaker = breaker or Breaker()
    for sign in signs:
        breaker = breaker.heard(sign, breaker.epoch, now, POLICY, lot)
    return breaker


def opened(now: float = 100.0, lot: float = 0.0) -> Breaker:
    return after(FAILED, FAILED, FAILED, now=now, lot=lot)


def probed(sign: Sign, breaker: Breaker, lot: float = 0.0) -> Breaker:
    """The breaker after its probe, made as soon as it may be."""
    return after(sign, breaker=breaker.begun(breaker.probe_at), now=breaker.probe_at, lot=lot)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    assert after(FAILED, FAILED).state == "closed"
    assert opened().state == "open"


def test_an_answer_between_them_begins_the_row_anew() -> None:
    assert after(FAILED, FAILED, ANSWERED, FAILED, FAILED).state == "closed"


def test_a_row_of_failures_counts_however_rare_the_calls_are() -> None:
    breaker = Breaker()
    for minute in range(3):
        breaker = after(FAILED, breaker=breaker, now=60.0 * minute)
    assert breaker.state == "open"


def test_it_opens_when_half_of_the_calls_fail_though_never_three_in_a_row() -> None:
    assert after(*[FAILED, ANSWERED] * 4, FAILED).state == "closed"
    assert after(*[FAILED, ANSWERED] * 5, FAILED).state == "open"


def test_failures_of_long_ago_are_no_share_of_anything() -> None:
    breaker = after(*[FAILED, ANSWERED] * 4, now=100.0)
    assert after(*[FAILED, ANSWERED] * 4, breaker=breaker, now=200.0).state == "closed"


def test_what_asked_nothing_says_nothing() -> None:
    assert after(FAILED, FAILED, NOTHING, FAILED).state == "open"
    assert after(*[NOTHING] * 20) == Breaker()


def test_an_open_breaker_lets_nothing_through_until_its_pause_is_over_and_then_one() -> None:
    breaker = opened(now=100.0, lot=0.5)
    assert breaker.probe_at == 100.75
    assert breaker.most(100.74, USUAL, POLICY) == 0
    assert breaker.most(100.75, USUAL, POLICY) == 1
    assert breaker.begun(100.75).most(1e9, USUAL, POLICY) == 0


def test_every_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    breaker, pauses = opened(), []
    for _ in range(6):
        pauses.append(breaker.probe_at - breaker.since)
        breaker = probed(FAILED, breaker)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_a_good_probe_is_followed_by_twice_as_many_calls_in_every_step() -> None:
    breaker = probed(ANSWERED, opened(now=99.5))
    began = breaker.since
    bears = [breaker.most(began + seconds, USUAL, POLICY) for seconds in (0, 0.9, 1, 2, 3, 5.9, 6, 1e6)]
    assert bears == [1, 1, 2, 4, 8, 32, USUAL, USUAL]
    assert breaker.aged(began + 5.9, USUAL, POLICY) is breaker
    assert breaker.aged(began + 6, USUAL, POLICY).is_calm


def test_a_relapse_while_recovering_takes_two_failures_and_a_longer_pause() -> None:
    recovering = probed(ANSWERED, opened())
    assert after(FAILED, ANSWERED, FAILED, breaker=recovering).state == "recovering"
    relapsed = after(FAILED, FAILED, breaker=recovering)
    assert relapsed.state == "open"
    assert relapsed.probe_at - relapsed.since == 1.0


def test_after_a_recovery_the_pauses_begin_anew() -> None:
    recovering = probed(ANSWERED, probed(FAILED, opened()))
    well = recovering.aged(recovering.since + 60, USUAL, POLICY)
    broken = after(FAILED, FAILED, FAILED, breaker=well)
    assert broken.probe_at - broken.since == 0.5


def test_a_probe_that_asked_nothing_was_none_and_the_next_call_may_be_it() -> None:
    breaker = probed(NOTHING, opened())
    assert breaker.state == "open"
    assert breaker.most(breaker.probe_at, USUAL, POLICY) == 1


@pytest.mark.parametrize("sign", Sign)
def test_what_calls_of_before_the_outage_bring_moves_nothing(sign: Sign) -> None:
    before = Breaker()
    breaker = opened()
    for present in (breaker, breaker.begun(breaker.probe_at), probed(ANSWERED, breaker)):
        assert present.heard(sign, before.epoch, 200.0, POLICY, 0.0) == present


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "answered", "failed", "nothing"]),
        st.floats(0, 5, allow_nan=False),
        st.floats(0, 0.999),
    ),
    max_size=120,
)


@given(STEPS)
def test_whatever_happens_it_is_probed_one_call_at_a_time_and_comes_back(
    steps: list[tuple[str, float, float]],
) -> None:
    breaker, now, probes_under_way = Breaker(), 0.0, 0
    under_way: list[int] = []
    for what, seconds, lot in steps:
        now += seconds
        breaker = breaker.aged(now, USUAL, POLICY)
        if what == "begin":
            if breaker.most(now, USUAL, POLICY) > 0:
                is_probe = breaker.state == "open"
                breaker = breaker.begun(now)
                under_way.append(breaker.epoch)
                probes_under_way += is_probe
        elif under_way:
            epoch = under_way.pop(0)
            was_probe = breaker.state == "probing" and epoch == breaker.epoch
            breaker = breaker.heard(Sign[what.upper()], epoch, now, POLICY, lot)
            probes_under_way -= was_probe
        assert probes_under_way == (breaker.state == "probing")
        if breaker.state == "open":
            assert breaker.probe_at <= now + POLICY.longest_seconds
        if breaker.state == "closed":
            assert breaker.most(now, USUAL, POLICY) == USUAL
    # Given a gateway that answers from now on, it is closed within the longest pause and the recovery.
    if breaker.state == "probing":
        breaker = breaker.heard(ANSWERED, breaker.epoch, now, POLICY, 0.0)
    if breaker.state == "open":
        now += POLICY.longest_seconds
        breaker = probed(ANSWERED, breaker)
    assert breaker.aged(now + 10 * POLICY.step_seconds, USUAL, POLICY).state == "closed"
