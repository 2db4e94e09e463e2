"""What is said of a balance that runs out or lapses, word for word, and when."""

from datetime import timedelta

import pytest

from services.usage.domain.balance import Balance
from services.usage.domain.burn import burn_more
from services.usage.domain.triggers import KINDS, Wants, next_due_at, rearm, take_announced, take_due
from shared.contracts.fields import MAX_BYTES
from shared.contracts.quotas import (
    BucketExpiring,
    QuotaExhausted,
    QuotaExhaustionPredicted,
    QuotaMessage,
    QuotaThresholdReached,
)
from tests.unit.usage.test_balance import DAY, NOW, add, before_recarga, top_up, use, with_top_ups

HOUR = 3600


def messages(balance: Balance, wants: Wants, now: object = NOW) -> list[QuotaMessage]:
    return [trigger.message for trigger in take_due(balance, NOW if now is NOW else now, wants)]  # type: ignore[arg-type]


def test_a_threshold_is_said_with_what_is_left_of_how_much() -> None:
    balance = with_top_ups(top_up(4, 1000))
    use(balance, 940)
    assert messages(balance, Wants(10)) == [
        QuotaThresholdReached(
            subscription_id="sub-1",
            cycle=4,
            remaining_bytes=60,
            granted_bytes=1000,
            lapsed_bytes=0,
            cycle_began_at=NOW,
            occurred_at=NOW,
            threshold_bytes=100,
        )
    ]
    use(balance, 60)
    assert messages(balance, Wants(10)) == [
        QuotaExhausted(
            subscription_id="sub-1",
            cycle=4,
            remaining_bytes=0,
            granted_bytes=1000,
            lapsed_bytes=0,
            cycle_began_at=NOW,
            occurred_at=NOW,
        )
    ]


def test_what_is_said_names_the_device_that_another_one_was_used_against() -> None:
    balance = with_top_ups(top_up(1, 1000))
    balance.bound_imei, balance.foreign_imei = "490154203237518", "356938035643809"
    use(balance, 1000)
    assert [said.offended_imei for said in messages(balance, Wants(10))] == ["490154203237518"] * 2
    balance.said, balance.foreign_imei = 0, None
    assert [said.offended_imei for said in messages(balance, Wants(10))] == [None] * 2


@pytest.mark.parametrize(
    ("wants", "threshold"), [(Wants(10), 100), (Wants(None, 300), 300), (Wants(10, 50), 100), (Wants(0), 0)]
)
def test_a_threshold_is_a_share_or_a_number_of_bytes_whichever_is_more(wants: Wants, threshold: int) -> None:
    balance = with_top_ups(top_up(1, 1000))
    use(balance, 1000 - threshold - 1)
    assert messages(balance, wants) == []
    use(balance, 1)
    assert messages(balance, wants)


def test_nothing_is_said_of_a_threshold_that_nobody_wants() -> None:
    balance = with_top_ups(top_up(1, 1000))
    use(balance, 999)
    assert messages(balance, Wants(None)) == []


def test_more_than_a_message_can_hold_is_said_as_the_most_it_can() -> None:
    balance = with_top_ups(top_up(1, MAX_BYTES + 5))
    [said] = messages(balance, Wants(None, MAX_BYTES * 2))
    assert isinstance(said, QuotaThresholdReached)
    assert (said.remaining_bytes, said.threshold_bytes, said.granted_bytes) == (MAX_BYTES,) * 3


def test_an_end_is_predicted_from_the_present_rate() -> None:
    balance = with_top_ups(top_up(1, 100_000))
    use(balance, 60_000)
    balance.burn = burn_more(balance.burn, 60_000, NOW)
    # 60,000 in the last three hours: 40,000 more last two hours.
    assert messages(balance, Wants(None, predicted_seconds=2 * HOUR - 1)) == []
    [said] = messages(balance, Wants(None, predicted_seconds=2 * HOUR))
    assert isinstance(said, QuotaExhaustionPredicted)
    assert said.exhausted_at == NOW + timedelta(hours=2)


def test_data_that_lapses_is_said_although_nobody_uses_it() -> None:
    wants = Wants(None, expiring_seconds=24 * HOUR)
    balance = with_top_ups(top_up(1, 100, expires_at=NOW + 3 * DAY))
    assert next_due_at(balance, NOW, wants) == NOW + 2 * DAY
    assert messages(balance, wants, NOW + 2 * DAY - timedelta(microseconds=1)) == []
    [said] = messages(balance, wants, NOW + 2 * DAY)
    assert isinstance(said, BucketExpiring)
    assert said.expires_at == NOW + 3 * DAY
    assert next_due_at(balance, NOW + 2 * DAY, wants) == NOW + 3 * DAY
    [gone] = messages(balance, wants, NOW + 3 * DAY)
    assert isinstance(gone, QuotaExhausted)
    assert next_due_at(balance, NOW + 3 * DAY, wants) is None


def test_a_lapse_is_warned_of_in_time_though_what_lasts_longer_was_used_up_first() -> None:
    wants = Wants(None, expiring_seconds=24 * HOUR)
    balance = with_top_ups(top_up(1, 100, "queue", expires_at=NOW + 9 * DAY))
    add(balance, top_up(2, 1000, "queue", expires_at=NOW + 3 * DAY))
    due = next_due_at(balance, NOW, wants)
    use(balance, 100)
    # A record does not move it.
    assert due == NOW + 2 * DAY
    [said] = messages(balance, wants, NOW + 2 * DAY)
    assert isinstance(said, BucketExpiring)
    assert said.expires_at == NOW + 3 * DAY


def test_what_lapses_is_said_as_lapsed_and_not_as_left() -> None:
    balance = with_top_ups(top_up(1, 100, "queue", expires_at=NOW + DAY))
    add(balance, top_up(2, 1000, "queue", expires_at=NOW + 3 * DAY))
    use(balance, 50)
    use(balance, 300, at=NOW + 2 * DAY)
    assert messages(balance, Wants(None), NOW + 2 * DAY) == []
    [gone] = messages(balance, Wants(None), NOW + 3 * DAY)
    # The 50 that lapsed of the first were another cycle's.
    assert (gone.remaining_bytes, gone.lapsed_bytes, gone.granted_bytes) == (0, 700, 1000)


def test_a_top_up_arms_every_kind_again_and_nothing_else_does() -> None:
    balance = with_top_ups(top_up(1, 100))
    use(balance, 100)
    assert len(messages(balance, Wants(10))) == 2
    use(balance, 100)
    assert messages(balance, Wants(10)) == []
    add(balance, top_up(2, 100, "queue"))
    use(balance, 100)
    assert len(messages(balance, Wants(10))) == 2


@pytest.mark.parametrize(
    ("rule", "wants"),
    [
        ((None, None, None, None), Wants(20, 500, 60, 70)),
        ((10, None, None, None), Wants(10, None, 60, 70)),
        ((None, 5, None, None), Wants(None, 5, 60, 70)),
        ((None, None, 6, 7), Wants(20, 500, 6, 7)),
        ((None, None, 0, 0), Wants(20, 500, 0, 0)),
        # Below 0: how long the rule itself has a charge wait.
        ((None, None, -100, -100), Wants(20, 500, 160, 160)),
        ((None, None, -5, -5), Wants(20, 500, 65, 70)),
        ((None, None, 6, -100), Wants(20, 500, 6, 160)),
        ((10, None, -100, 7), Wants(10, None, 160, 7)),
    ],
)
def test_a_rule_says_field_by_field_what_the_carrier_would(
    rule: tuple[int | None, ...], wants: Wants
) -> None:
    assert Wants(20, 500, 60, 70).overruled_by(rule) == wants


def test_a_rule_that_has_charges_wait_makes_nothing_be_said_that_the_carrier_never_says() -> None:
    never = Wants(20, None, None, None)
    assert never.overruled_by((None, None, -100, -100)) == never
    assert Wants(20, None, None, 70).overruled_by((None, None, -100, -100)) == Wants(20, None, None, 70)
    assert Wants(20, None, 60, 0).overruled_by((None, None, None, -100)).expiring_seconds == 0


def test_that_nothing_is_left_is_said_again_after_a_top_up_only() -> None:
    balance = with_top_ups(top_up(1, 100))
    use(balance, 100)
    assert [type(said) for said in messages(balance, Wants(None))] == [QuotaExhausted]
    # The carrier gives something back, and other limits hold.
    balance.buckets[0].remaining_bytes = 10
    rearm(balance, NOW, Wants(None))
    use(balance, 10)
    assert messages(balance, Wants(None)) == []


def test_of_data_from_before_recarga_it_is_said_that_it_runs_out() -> None:
    balance = with_top_ups(before_recarga("old", 1000, 100, NOW + DAY))
    assert [type(said) for said in messages(balance, Wants(10))] == [QuotaThresholdReached]


def test_what_was_said_is_kept_as_the_same_number_for_ever() -> None:
    """Rows that were written by an earlier version are read by a later one."""
    kept = {}
    for kind in KINDS:
        balance = with_top_ups(top_up(1, 1000))
        take_announced(balance, kind, 0, NOW, Wants(10), Wants(10))
        kept[kind] = balance.said
    assert kept == {"threshold_reached": 1, "exhausted": 2, "predicted": 4, "expiring": 8}


def test_other_limits_may_say_again_what_is_not_so_by_them_and_nothing_else() -> None:
    balance = with_top_ups(top_up(1, 1000))
    use(balance, 900)
    assert len(messages(balance, Wants(10))) == 1
    rearm(balance, NOW, Wants(50))
    assert messages(balance, Wants(50)) == []
    rearm(balance, NOW, Wants(5))
    assert messages(balance, Wants(5)) == []
    use(balance, 50)
    assert len(messages(balance, Wants(5))) == 1
    use(balance, 50)
    assert len(messages(balance, Wants(5))) == 1
    rearm(balance, NOW, Wants(None))
    assert messages(balance, Wants(None)) == []
