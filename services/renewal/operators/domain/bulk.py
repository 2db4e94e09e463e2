"""A bulk job: one action on many renewals, as its dry-run saw them."""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

from services.renewal.domain.renewal import Renewal, State
from services.renewal.operators.domain.decision import ActionName, Choice, Decision

JobState = Literal[
    "dry_run",  # shows what it would do
    "running",  # does it; in turns, where several were started
    "done",  # has reached its end
    "stopped",  # an operator ended it
    "expired",  # was not started in time
]
Result = Literal[
    "done",  # the action was carried out
    "moved",  # it is not any more what the dry-run had seen
    "refused",  # its state allows it, it itself does not
]

MOST_AT_ONCE: Final = 50
"""Renewals in one transaction of a job."""
LEAST_PER_SECOND: Final = 0.1
"""Slower is no rate but a stop, and a next step at no date that there is."""


class Job(NamedTuple):
    """The row of a bulk job, in the order in which bulk_store.py reads it."""

    job_id: UUID
    action: ActionName
    choice: Choice | None
    why: str
    filter: str
    by_state: str
    matched: int
    """Renewals that the filter found; to `renewals` of them the action would do something."""
    renewals: int
    per_second: float
    made_by: str
    made_at: datetime
    expires_at: datetime
    state: JobState = "dry_run"
    reached: int = 0
    """Targets dealt with, in their order: where it goes on."""
    done: int = 0
    moved: int = 0
    refused: int = 0
    started_by: str | None = None
    started_at: datetime | None = None
    next_at: datetime | None = None
    """No earlier than this the next ones: the rate holds however many processes there are."""
    ended_by: str | None = None
    ended_at: datetime | None = None

    @property
    def decision(self) -> Decision:
        return Decision(self.action, self.choice)

    @property
    def left(self) -> int:
        return self.renewals - self.reached

    def state_at(self, now: datetime) -> JobState:
        """A dry-run that was not started in time is over, whether or not anybody has written that down."""
        return "expired" if self.state == "dry_run" and now >= self.expires_at else self.state

    def batch(self, tick_seconds: float) -> int:
        """How many renewals are due at once: at least one, else as many as a tick has room for."""
        return max(1, min(MOST_AT_ONCE, self.left, round(self.per_second * tick_seconds)))

    def after(self, now: datetime, results: list[Result]) -> "Job":
        """The job once these have been dealt with at `now`."""
        reached = self.reached + len(results)
        is_over = reached >= self.renewals
        return self._replace(
            reached=reached,
            done=self.done + results.count("done"),
            moved=self.moved + results.count("moved"),
            refused=self.refused + results.count("refused"),
            next_at=now + timedelta(seconds=len(results) / max(self.per_second, LEAST_PER_SECOND)),
            state="done" if is_over else "running",
            ended_at=now if is_over else None,
        )


class Target(NamedTuple):
    """One renewal of a job, as the dry-run saw it."""

    place: int
    """Counted from 1."""
    renewal_id: UUID
    version: int
    state: State
    result: Result | None = None


def is_as_seen(decision: Decision, target: Target, renewal: Renewal | None) -> bool:
    """Whether the renewal may still be acted upon as the dry-run saw it.

    About money nothing may have happened to it since. Else it is enough that it stands where it stood:
    whoever is asked again and again because nobody answers is what a retry in bulk is for.
    """
    if renewal is None:
        return False
    return renewal.version == target.version if decision.needs_second else renewal.state == target.state


class Hindrance(NamedTuple):
    """Why a job cannot be started: a problem's type, and a sentence with what to do now."""

    problem: Literal["bulk-not-startable", "bulk-empty", "bulk-count-differs", "second-person-needed"]
    detail: str


def hindrance(job: Job, starter: str, renewals: int, now: datetime) -> Hindrance | None:
    """Why this person cannot start it now, who has seen that number of renewals; None where they can."""
    state = job.state_at(now)
    if state != "dry_run":
        return Hindrance("bulk-not-startable", _NOT_STARTABLE[state].format(job.expires_at))
    if job.decision.needs_second and starter == job.made_by:
        return Hindrance(
            "second-person-needed",
            f"It decides about money and {starter} made it, so somebody else must start it, until "
            f"{job.expires_at:%Y-%m-%d %H:%M} UTC. Possible for {starter} now: stop.",
        )
    if renewals != job.renewals:
        return Hindrance(
            "bulk-count-differs",
            f"It would act upon {job.renewals} renewals, not {renewals}. Look at its dry-run again.",
        )
    if not job.renewals:
        return Hindrance("bulk-empty", "It would act upon no renewal. Make one with another filter.")
    return None


_NOT_STARTABLE: Final = {
    "running": "It is running. Possible now: stop.",
    "done": "It is done. Make a new one, where more is to be done.",
    "stopped": "It was stopped, for good. Make a new one for what is left.",
    "expired": "Its dry-run was good until {0:%Y-%m-%d %H:%M} UTC. Make a new one.",
}
