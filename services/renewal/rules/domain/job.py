"""A job: many rules paused or resumed, at a rate, so many as its dry-run showed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

JobAction = Literal["pause", "resume"]
JobState = Literal[
    "dry_run",  # shows what it would do
    "running",  # does it; in turns, where several were started
    "done",  # has reached its end
    "stopped",  # somebody ended it
    "expired",  # was not started in time
]

AT_ONCE: Final = 200
"""Rules in one transaction."""
MOST_COUNTED: Final = 1_000_000
"""A dry-run counts no further."""
LEAST_PER_SECOND: Final = 0.1
"""Slower is no rate but a stop, and a next step at no date that there is."""


class RuleFilter(NamedTuple):
    """Every condition that is set must hold."""

    brand: str | None = None
    carrier: str | None = None
    offering_id: str | None = None
    """Of any tier of the rule."""
    payer_id: str | None = None


class RuleJob(NamedTuple):
    """The row of a job, in the order in which job_store.py reads it."""

    job_id: UUID
    action: JobAction
    why: str
    brand: str | None
    carrier: str | None
    offering_id: str | None
    payer_id: str | None
    rules: int
    per_second: float
    made_by: str
    made_at: datetime
    expires_at: datetime
    state: JobState = "dry_run"
    reached: str = ""
    """The last subscription that was looked at: it goes on behind it."""
    changed: int = 0
    started_by: str | None = None
    started_at: datetime | None = None
    next_at: datetime | None = None
    """No earlier than this the next ones: the rate holds however many processes there are."""
    ended_by: str | None = None
    ended_at: datetime | None = None

    @property
    def filter(self) -> RuleFilter:
        return RuleFilter(self.brand, self.carrier, self.offering_id, self.payer_id)

    def state_at(self, now: datetime) -> JobState:
        """A dry-run that was not started in time is over, whether or not anybody has written that down."""
        return "expired" if self.state == "dry_run" and now >= self.expires_at else self.state

    def batch(self, tick_seconds: float) -> int:
        """How many rules are due at once."""
        return max(1, min(AT_ONCE, round(self.per_second * tick_seconds)))

    def after(self, now: datetime, looked_at: Sequence[str], changed: int, *, is_last: bool) -> "RuleJob":
        """The job once these, in their order, have been dealt with at `now`."""
        return self._replace(
            reached=looked_at[-1] if looked_at else self.reached,
            changed=self.changed + changed,
            next_at=now + timedelta(seconds=len(looked_at) / max(self.per_second, LEAST_PER_SECOND)),
            state="done" if is_last else "running",
            ended_at=now if is_last else None,
        )


class Hindrance(NamedTuple):
    """Why a job cannot be started: a problem's type, and a sentence with what to do now."""

    problem: Literal["rule-job-not-startable", "rule-job-empty", "rule-job-count-differs"]
    detail: str


def hindrance(job: RuleJob, rules: int, now: datetime) -> Hindrance | None:
    """Why it cannot be started by somebody who has seen that number of rules; None where it can."""
    state = job.state_at(now)
    if state != "dry_run":
        return Hindrance("rule-job-not-startable", f"The job is {state}. Make a new one for what is left.")
    if rules != job.rules:
        return Hindrance(
            "rule-job-count-differs",
            f"It would {job.action} {job.rules} rules, not {rules}. Look at its dry-run again.",
        )
    if not job.rules:
        return Hindrance("rule-job-empty", f"It would {job.action} no rule. Make one with another filter.")
    return None
