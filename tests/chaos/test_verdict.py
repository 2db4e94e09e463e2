"""What a verdict is worth: it tells which fault met nobody, and who only a deadline would have ended."""

from __future__ import annotations

from datetime import UTC, datetime

from services.renewal.domain.policy import POLICY
from tests.chaos.chaos_stack import IMPATIENT
from tests.chaos.faults import Crash, Lie, Zombie
from tests.chaos.run import DEADLINE_SECONDS, QUIET_SECONDS
from tests.chaos.schedule import Planned, Schedule
from tests.chaos.story import Story
from tests.chaos.verdict import never_struck

NOW = datetime(2026, 11, 23, tzinfo=UTC)
DIES = Crash("payment-1", "before_send", 3)
ANOTHER_DIES = Crash("payment-2", "before_send", 1)
STANDS_STILL = Zombie("renewal-2", "before_commit", 1, 9.0)
LIES = Lie("carrier", "apply_topup", "timeout_after", 0.5, 4.0)
SCHEDULE = Schedule(1, 60.0, [Planned(3, DIES), Planned(9, STANDS_STILL)], [], [Planned(4, LIES)])


def story(*times: tuple[Crash | Zombie | Lie, int]) -> Story:
    told = Story(lambda _: None)
    for fault, number in times:
        told.happened(fault, NOW, "as ever", number)
    return told


def test_a_kind_of_fault_that_was_planned_and_met_nobody_breaks_the_run() -> None:
    lines = list(never_struck(SCHEDULE, story((DIES, 1), (LIES, 0))))

    assert lines == [
        "it was planned and never struck: carrier lies: timeout_after on apply_topup",
        "it was planned and never struck: renewal stands still",
    ]


def test_one_fault_of_a_kind_stands_for_the_others() -> None:
    told = story((ANOTHER_DIES, 1), (STANDS_STILL, 1), (LIES, 12), (LIES, 0))

    assert list(never_struck(SCHEDULE, told)) == []


def test_deaths_are_counted_by_service_and_point_and_nothing_else_is_a_death() -> None:
    told = story((DIES, 1), (ANOTHER_DIES, 1), (STANDS_STILL, 1), (LIES, 7))

    assert told.deaths("payment", "before_send") == 2
    assert told.deaths_of("payment-2") == 2
    assert told.deaths_of("renewal-2") == 0


def test_quiet_is_waited_for_long_enough_and_not_until_a_deadline_hides_what_is_stuck() -> None:
    resolutions = 2 * float(IMPATIENT["RECARGA_PAYMENT_RESOLUTION_SECONDS"])
    asked_again = POLICY.patience["refunding"].backoff.seconds(0)
    assert DEADLINE_SECONDS + resolutions + asked_again < QUIET_SECONDS < POLICY.late_capture_seconds
