"""A job pauses or resumes as many rules as its dry-run showed, at its rate, and goes on where it was."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.renewal.rules.domain.job import LEAST_PER_SECOND, MOST_COUNTED, RuleFilter, RuleJob, hindrance
from tests.unit.renewal.story import T0

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def job(**different: Any) -> RuleJob:
    """A dry-run that showed ten rules, and does five a second."""
    return RuleJob(
        job_id=UUID(int=1),
        action="pause",
        why="The carrier is down.",
        brand="ola",
        carrier=None,
        offering_id=None,
        payer_id=None,
        rules=10,
        per_second=5.0,
        made_by="ana",
        made_at=T0,
        expires_at=T0 + DAY,
    )._replace(**different)


# -- what it is about ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RuleFilter._fields)
def test_it_is_about_the_rules_of_its_own_filter(name: str) -> None:
    nothing: dict[str, Any] = dict.fromkeys(RuleFilter._fields)
    only = nothing | {name: "x"}
    assert job(**only).filter == RuleFilter(**only)


def test_a_dry_run_counts_to_a_million() -> None:
    assert MOST_COUNTED == 10**6


# -- whether it may be started ------------------------------------------------------------------------


def test_a_dry_run_that_was_just_made_has_done_nothing_and_is_started_on_the_number_it_showed() -> None:
    made = job()
    assert (made.state, made.reached, made.changed, made.started_at) == ("dry_run", "", 0, None)
    assert hindrance(made, 10, T0) is None


def test_a_dry_run_is_over_at_its_time_and_what_was_started_is_not() -> None:
    assert job().state_at(T0 + DAY - SECOND) == "dry_run"
    assert job().state_at(T0 + DAY) == "expired"
    assert job(state="running").state_at(T0 + DAY) == "running"
    assert job(state="stopped").state_at(T0) == "stopped"


@pytest.mark.parametrize(
    ("different", "state"),
    [
        ({"state": "running"}, "running"),
        ({"state": "done"}, "done"),
        ({"state": "stopped"}, "stopped"),
        ({"expires_at": T0}, "expired"),
    ],
)
def test_what_is_no_fresh_dry_run_is_not_started_and_says_what_it_is(
    different: dict[str, Any], state: str
) -> None:
    against = hindrance(job(**different), 10, T0)
    assert against is not None
    assert against.problem == "rule-job-not-startable"
    assert f"The job is {state}." in against.detail


@pytest.mark.parametrize("seen", [0, 9, 11])
def test_whoever_has_seen_another_number_must_look_again(seen: int) -> None:
    against = hindrance(job(), seen, T0)
    assert against is not None
    assert against.problem == "rule-job-count-differs"
    assert f"It would pause 10 rules, not {seen}." in against.detail


def test_a_job_about_no_rule_is_not_started() -> None:
    against = hindrance(job(action="resume", rules=0), 0, T0)
    assert against is not None
    assert against.problem == "rule-job-empty"
    assert "resume no rule" in against.detail


# -- how it goes on -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_second", "tick_seconds", "batch"),
    [
        (0.1, 0.25, 1),
        (5.0, 0.25, 1),
        (20.0, 0.25, 5),
        (20.0, 2.0, 40),
        (800.0, 0.25, 200),
        (10_000.0, 1.0, 200),
    ],
)
def test_a_batch_is_what_the_rate_allows_one_at_least_and_200_at_most(
    per_second: float, tick_seconds: float, batch: int
) -> None:
    assert job(per_second=per_second).batch(tick_seconds) == batch


def test_after_a_batch_it_goes_on_behind_the_last_one_once_its_rate_allows() -> None:
    before = job(state="running", reached="sub-05", changed=4)
    after = before.after(T0, ["sub-06", "sub-07", "sub-08", "sub-09", "sub-10"], 3, is_last=False)
    assert (after.reached, after.changed, after.state) == ("sub-10", 7, "running")
    assert (after.next_at, after.ended_at) == (T0 + SECOND, None), "five a second"
    assert after.why == before.why


@pytest.mark.parametrize("per_second", [1e-300, 1e-6, LEAST_PER_SECOND])
def test_however_slow_it_was_made_it_goes_on_within_seconds(per_second: float) -> None:
    after = job(state="running", per_second=per_second).after(T0, ["sub-01"], 1, is_last=False)
    assert after.next_at == T0 + 10 * SECOND


def test_the_last_batch_ends_it() -> None:
    after = job(state="running", changed=4).after(T0, ["sub-10"], 1, is_last=True)
    assert (after.reached, after.changed, after.state, after.ended_at) == ("sub-10", 5, "done", T0)


def test_where_nothing_was_left_to_look_at_it_stays_where_it_is_and_ends_at_once() -> None:
    after = job(state="running", reached="sub-10", changed=5).after(T0, [], 0, is_last=True)
    assert (after.reached, after.changed, after.next_at, after.state) == ("sub-10", 5, T0, "done")
