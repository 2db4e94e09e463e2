"""What a carrier's own system announces: whether it counts, and what is said of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.usage.domain.balance import Balance
from services.usage.domain.carrier import Carrier, Counting
from services.usage.domain.crossings import KINDS, refusal, remaining_bytes, reported
from services.usage.domain.reconcile import AHEAD, Reported
from services.usage.domain.triggers import Wants, take_announced, take_due, was_said
from shared.contracts.fields import MAX_BYTES
from shared.contracts.quotas import QuotaExhausted, QuotaThresholdReached
from shared.contracts.usage_records import ThresholdCrossed
from tests.unit.usage.test_balance import DAY, NOW, add, top_up, use, with_top_ups

MICROSECOND = timedelta(microseconds=1)
WANTS = Wants(10)


def crossed(
    kind: str = "threshold", remaining: int | None = None, after: timedelta = timedelta()
) -> ThresholdCrossed:
    return ThresholdCrossed.model_validate(
        {
            "source": "ocs",
            "notification_id": "n-1",
            "iccid": "8953012004711902833",
            "kind": kind,
            "remaining_bytes": remaining,
            "crossed_at": NOW + after,
        }
    )


def carrier(counting: Counting = "notifications") -> Carrier:
    return Carrier(counting, "written_off", WANTS)


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (timedelta(), None),
        (-MICROSECOND, "late"),
        (-DAY, "late"),
        (AHEAD, None),
        (AHEAD + MICROSECOND, "in_future"),
    ],
)
def test_a_crossing_counts_in_the_cycle_in_which_it_was(after: timedelta, why: object) -> None:
    assert refusal(with_top_ups(top_up(1, 100)), crossed(after=after), carrier(), NOW) == why


def test_a_crossing_counts_where_no_cycle_is_known() -> None:
    assert refusal(Balance("sub-1"), crossed(after=-DAY), carrier(), NOW) is None


@pytest.mark.parametrize("counting", ["records", "snapshots"])
def test_a_crossing_is_nothing_where_others_count(counting: Counting) -> None:
    assert refusal(Balance("sub-1"), crossed(), carrier(counting), NOW) == "not_counting"


def test_what_it_says_is_left_is_a_report() -> None:
    assert reported(crossed()) is None
    assert reported(crossed(remaining=70)) == Reported(70, None, NOW)
    assert reported(crossed("exhausted")) == reported(crossed("exhausted", 5)) == Reported(0, None, NOW)
    assert [remaining_bytes(crossed(remaining=each)) for each in (None, 0, 3)] == [None, 0, 3]


def test_a_threshold_is_announced_once_with_what_is_left() -> None:
    balance = with_top_ups(top_up(4, 1000))
    [said] = take_announced(balance, KINDS["threshold"], 120, NOW, WANTS, WANTS)
    assert said.message == QuotaThresholdReached(
        subscription_id="sub-1",
        cycle=4,
        remaining_bytes=120,
        granted_bytes=1000,
        lapsed_bytes=0,
        cycle_began_at=NOW,
        occurred_at=NOW,
        threshold_bytes=120,
    )
    assert take_announced(balance, "threshold_reached", 10, NOW, WANTS, WANTS) == []
    assert was_said(balance, "threshold_reached")
    assert not was_said(balance, "exhausted")


@pytest.mark.parametrize(("used", "remaining"), [(0, 100), (900, 100), (960, 40)])
def test_without_a_word_of_what_is_left_it_is_at_most_the_threshold(used: int, remaining: int) -> None:
    balance = with_top_ups(top_up(1, 1000))
    use(balance, used)
    [said] = take_announced(balance, "threshold_reached", None, NOW, WANTS, WANTS)
    assert isinstance(said.message, QuotaThresholdReached)
    assert (said.message.remaining_bytes, said.message.threshold_bytes) == (remaining, 100)


@pytest.mark.parametrize(
    ("rule", "left", "is_said"),
    [
        ((5, None, None, None), 51, False),
        ((5, None, None, None), 50, True),
        ((None, 70, None, None), 71, False),
        ((None, 70, None, None), 70, True),
        ((5, 70, None, None), 70, True),
        ((5, None, None, None), None, False),
        ((None, 99, None, None), None, False),
        ((10, None, None, None), None, True),
        ((50, None, None, None), None, True),
        ((None, None, 60, 60), 500, True),
        (None, 500, True),
    ],
)
def test_a_threshold_is_announced_once_it_is_the_rules_own(
    rule: tuple[int | None, ...] | None, left: int | None, is_said: bool
) -> None:
    balance = with_top_ups(top_up(1, 1000))
    balance.rule_wants = rule
    wants = WANTS if rule is None else WANTS.overruled_by(rule)
    said = take_announced(balance, "threshold_reached", left, NOW, wants, WANTS)
    assert [one.kind for one in said] == ["threshold_reached"] * is_said
    assert was_said(balance, "threshold_reached") is is_said


@pytest.mark.parametrize(
    ("rule", "is_said"), [((5, None, None, None), True), ((None, 70, None, None), False)]
)
def test_of_data_that_was_never_measured_no_share_is_known(
    rule: tuple[int | None, ...], is_said: bool
) -> None:
    balance = Balance("sub-1", rule_wants=rule)
    said = take_announced(balance, "threshold_reached", 500, NOW, WANTS.overruled_by(rule), WANTS)
    assert bool(said) is is_said


def test_a_rules_threshold_does_not_hold_back_that_nothing_is_left() -> None:
    balance = with_top_ups(top_up(1, 1000))
    balance.rule_wants = (None, 0, None, None)
    wants = WANTS.overruled_by(balance.rule_wants)
    assert len(take_announced(balance, "exhausted", 1, NOW, wants, WANTS)) == 1


def test_the_end_is_announced_even_of_what_was_never_measured() -> None:
    [said] = take_announced(Balance("sub-1"), KINDS["exhausted"], 0, NOW, WANTS, WANTS)
    assert said.kind == "exhausted"
    assert said.message == QuotaExhausted(
        subscription_id="sub-1", cycle=0, remaining_bytes=0, lapsed_bytes=0, occurred_at=NOW
    )


def test_what_was_announced_is_not_said_again_by_our_own_count_until_the_next_top_up() -> None:
    balance = with_top_ups(top_up(1, 100))
    take_announced(balance, "exhausted", 0, NOW, WANTS, WANTS)
    use(balance, 100)
    assert [each.kind for each in take_due(balance, NOW, WANTS)] == ["threshold_reached"]
    add(balance, top_up(2, MAX_BYTES, "replace"))
    assert len(take_announced(balance, "exhausted", 0, NOW, WANTS, WANTS)) == 1


def test_a_carrier_announces_by_its_own_settings_whatever_a_rule_wants() -> None:
    wants = WANTS.overruled_by((5, None, None, None))
    carrier = Carrier("notifications", "written_off", WANTS)
    assert carrier.announced_by == WANTS
    assert replace(carrier, wants=wants, announces=WANTS).announced_by == WANTS
