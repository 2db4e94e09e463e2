"""A bulk job acts upon what its dry-run saw, at its rate, started by whoever may."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.renewal.operators.domain.bulk import (
    LEAST_PER_SECOND,
    Job,
    Result,
    Target,
    hindrance,
    is_as_seen,
)
from services.renewal.operators.domain.decision import Decision
from tests.unit.renewal.operators.renewals import a_renewal

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
JOB = Job(
    UUID(int=1),
    "retry",
    None,
    "the carrier is back",
    "{}",
    "{}",
    12,
    10,
    5.0,
    "ana",
    NOW,
    NOW + timedelta(hours=4),
)
TARGET = Target(1, UUID(int=2), 4, "parked")


def job(**different: Any) -> Job:
    return JOB._replace(**different)


def refused(made: Job, starter: str = "ana", renewals: int = 10, now: datetime = NOW) -> str | None:
    against = hindrance(made, starter, renewals, now)
    return None if against is None else against.problem


def test_what_decides_about_no_money_is_started_by_whoever_made_it() -> None:
    assert refused(job()) is None
    assert refused(job(), "ben") is None


def test_what_decides_about_money_is_started_by_somebody_else() -> None:
    money = job(action="release", choice="failed")
    assert refused(money) == "second-person-needed"
    assert refused(money, "ben") is None


def test_a_start_names_the_number_that_the_dry_run_showed() -> None:
    assert refused(job(), renewals=12) == "bulk-count-differs"
    assert refused(job(renewals=0), renewals=0) == "bulk-empty"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("running", "It is running. Possible now: stop."),
        ("done", "It is done."),
        ("stopped", "It was stopped, for good."),
    ],
)
def test_a_job_is_started_once_and_says_what_became_of_it(state: Any, words: str) -> None:
    against = hindrance(job(state=state), "ana", 10, NOW)
    assert against is not None
    assert against.problem == "bulk-not-startable"
    assert words in against.detail


def test_an_old_dry_run_is_not_acted_upon() -> None:
    against = hindrance(job(), "ana", 10, JOB.expires_at)
    assert against is not None
    assert against.problem == "bulk-not-startable"
    assert "good until 2026-11-23 16:00 UTC" in against.detail
    assert job().state_at(JOB.expires_at) == "expired"
    assert job(state="running").state_at(JOB.expires_at) == "running"


def test_with_money_nothing_may_have_happened_since_the_dry_run() -> None:
    money = Decision("release", "failed")
    assert is_as_seen(money, TARGET, a_renewal("parked", 4))
    assert not is_as_seen(money, TARGET, a_renewal("parked", 5))


def test_without_money_it_is_enough_that_it_stands_where_it_stood() -> None:
    assert is_as_seen(Decision("retry"), TARGET, a_renewal("parked", 9))
    assert not is_as_seen(Decision("retry"), TARGET, a_renewal("captured", 4))


def test_what_is_not_there_any_more_is_not_as_it_was_seen() -> None:
    assert not is_as_seen(Decision("retry"), TARGET, None)


@pytest.mark.parametrize(
    ("per_second", "renewals", "batch"),
    [(0.1, 100, 1), (5.0, 100, 1), (20.0, 100, 5), (50.0, 3, 3), (1000.0, 1000, 50)],
)
def test_a_batch_is_what_the_rate_allows_one_at_least_and_50_at_most(
    per_second: float, renewals: int, batch: int
) -> None:
    assert job(per_second=per_second, renewals=renewals).batch(0.25) == batch


def test_after_a_batch_it_rests_as_long_as_its_rate_says() -> None:
    results: list[Result] = ["done", "done", "moved", "refused", "done"]
    after = job(state="running").after(NOW, results)
    assert (after.reached, after.done, after.moved, after.refused) == (5, 3, 1, 1)
    assert after.next_at == NOW + timedelta(seconds=1)
    assert (after.state, after.ended_at, after.left) == ("running", None, 5)


@pytest.mark.parametrize("per_second", [1e-300, 1e-6, LEAST_PER_SECOND])
def test_however_slow_it_was_made_it_goes_on_within_seconds(per_second: float) -> None:
    after = job(state="running", per_second=per_second).after(NOW, ["done"])
    assert after.next_at == NOW + timedelta(seconds=10)


def test_it_is_done_when_it_has_come_to_all() -> None:
    after = job(state="running", reached=9).after(NOW, ["done"])
    assert (after.state, after.ended_at, after.left) == ("done", NOW, 0)
