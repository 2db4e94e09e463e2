"""What the API of bulk jobs takes and shows."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import Field, model_validator

from services.renewal.domain.renewal import CLOSED, OPEN_STATES, State
from services.renewal.operators.domain.bulk import LEAST_PER_SECOND, Job, JobState, Target
from services.renewal.operators.domain.decision import ActionName, Choice
from services.renewal.operators.domain.filter import CaseName, Filter
from services.renewal.operators.views import Because
from shared.contracts.fields import Count, Id
from shared.http.body import Answer, Body

SAMPLE = 20
MOST_PER_SECOND = 50.0
_OLDEST_SECONDS = 10 * 366 * 86_400


class BulkFilter(Body):
    """Which renewals: all conditions given must hold, and one must be. `case` takes closed ones, too."""

    state: Annotated[list[State], Field(max_length=12, default_factory=list)]
    brand: Id | None = None
    carrier: Id | None = None
    subscription_id: Id | None = None
    reason: Id | None = None
    older_than_seconds: Annotated[float, Field(ge=0, le=_OLDEST_SECONDS)] | None = None
    case: Annotated[CaseName | None, Field(description="What a person has to look into.")] = None

    @model_validator(mode="before")
    @classmethod
    def _names_what_there_is(cls, value: Any) -> Any:
        if isinstance(value, dict):
            unknown = sorted(str(name) for name in value if name not in cls.model_fields)
            if unknown:
                raise ValueError(
                    f"there is no filter {', '.join(unknown)[:100]}; there are: {', '.join(cls.model_fields)}"
                )
            if not value:
                raise ValueError(
                    f"it would take every open renewal: name one of {', '.join(cls.model_fields)}"
                )
        return value

    @model_validator(mode="after")
    def _takes_closed_ones_for_their_case_only(self) -> Self:
        if self.case is None and CLOSED.intersection(self.state):
            raise ValueError(
                "closed renewals are taken for their `case` only; without one the states are "
                + ", ".join(repr(state) for state in OPEN_STATES)
            )
        return self

    @property
    def wanted(self) -> Filter:
        return Filter(
            tuple(self.state),
            True if self.case is None else None,
            self.brand,
            self.carrier,
            self.subscription_id,
            self.reason,
            self.older_than_seconds,
            self.case,
        )


class NewJob(Because):
    """One action on all renewals that match; `choice` is what `resolve` found, how `release` ends."""

    action: ActionName
    choice: Choice | None = None
    filter: BulkFilter
    per_second: Annotated[
        float, Field(ge=LEAST_PER_SECOND, le=MOST_PER_SECOND, description="Renewals acted upon.")
    ] = 5.0


class Start(Because):
    """`renewals`: how many the dry-run said it would act upon."""

    renewals: Count


class TargetView(Answer):
    """One renewal of a job, as the dry-run saw it, and what came of it."""

    place: int
    renewal_id: UUID
    version: int
    state: str
    result: Literal["done", "moved", "refused"] | None


class JobView(Answer):
    """A bulk job: what it would do, how far it is, how it ended."""

    job_id: UUID
    action: str
    choice: str | None
    why: str
    filter: dict[str, Any]
    state: JobState
    matched: int
    by_state: dict[str, int]
    renewals: int
    """To so many of those that matched the action would do something."""
    needs_second: bool
    """Somebody else than `made_by` must start it."""
    per_second: float
    made_by: str
    made_at: datetime
    expires_at: datetime
    started_by: str | None
    started_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    done: int
    moved: int
    refused: int
    left: int
    seconds_left: float | None
    """At its rate, while it runs."""
    sample: list[TargetView]
    """The first of them."""


def target_view(target: Target) -> TargetView:
    return TargetView.model_validate(target._asdict())


def job_view(job: Job, now: datetime, sample: list[Target]) -> JobView:
    state = job.state_at(now)
    told = {
        "filter": orjson.loads(job.filter),
        "by_state": orjson.loads(job.by_state),
        "state": state,
        "needs_second": job.decision.needs_second,
        "left": job.left,
        "seconds_left": job.left / job.per_second if state == "running" else None,
        "sample": [target_view(target) for target in sample],
    }
    return JobView.model_validate(job._asdict() | told)
