"""The HTTP API of rule jobs: a dry-run shows how many rules it would pause or resume, starting it does so."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field, TypeAdapter, model_validator
from uuid_utils.compat import uuid7

from services.renewal.operators.views import Because
from services.renewal.rules import job_store
from services.renewal.rules.domain.job import (
    LEAST_PER_SECOND,
    JobAction,
    JobState,
    RuleFilter,
    RuleJob,
    hindrance,
)
from services.renewal.rules.jobs import note
from shared.contracts.fields import Count, Id
from shared.http.body import Answer, Body
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions
from shared.operators.who import Acting, Gate, Looking

SAMPLE: Final = 20
_PLACE: Final[TypeAdapter[tuple[AwareDatetime, UUID]]] = TypeAdapter(tuple[AwareDatetime, UUID])


class FilterBody(Body):
    """Which rules: every condition that is given must hold, and one must be."""

    brand: Id | None = None
    carrier: Id | None = None
    offering_id: Id | None = None
    payer_id: Id | None = None

    @model_validator(mode="after")
    def _names_something(self) -> "FilterBody":
        # One that is named and null is no condition: the job would take every rule all the same.
        if not self.model_dump(exclude_none=True):
            raise ValueError(f"it would take every rule: name one of {', '.join(type(self).model_fields)}")
        return self


class NewRuleJob(Because):
    """Pause or resume all rules that match."""

    action: JobAction
    filter: FilterBody
    per_second: Annotated[
        float, Field(ge=LEAST_PER_SECOND, le=800, description="Rules paused or resumed.")
    ] = 200.0


class StartRules(Because):
    """`rules`: how many the dry-run said it would change."""

    rules: Count


class RuleJobView(Answer):
    """A rule job: what it would do, how far it is, how it ended."""

    job_id: UUID
    action: JobAction
    why: str
    filter: dict[str, Any]
    state: JobState
    rules: int
    """As many matched when it was made; counted to a million."""
    changed: int
    per_second: float
    made_by: str
    made_at: datetime
    expires_at: datetime
    started_by: str | None
    started_at: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    sample: list[str]
    """The next subscriptions that it comes to."""


class RuleJobRoutes:
    """The routes under /v1/operator/rule-jobs."""

    def __init__(self, transactions: Transactions, gate: Gate, jobs_live: timedelta) -> None:
        self._transactions = transactions
        self._jobs_live = jobs_live
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        add, jobs = router.add_api_route, "/v1/operator/rule-jobs"
        add(jobs, self.make, methods=["POST"], status_code=HTTPStatus.CREATED)
        add(jobs, self.find, methods=["GET"])
        add(f"{jobs}/{{job_id}}", self.read, methods=["GET"])
        add(f"{jobs}/{{job_id}}/start", self.start, methods=["POST"], status_code=HTTPStatus.ACCEPTED)
        add(f"{jobs}/{{job_id}}/stop", self.stop, methods=["POST"])

    async def make(self, body: NewRuleJob, who: Acting, response: Response) -> RuleJobView:
        """A dry-run: how many rules would be changed, and some of them. Nothing is done yet."""

        async def work(transaction: Transaction) -> RuleJobView:
            wanted, now = RuleFilter(**body.filter.model_dump()), transaction.now
            rules = await job_store.count(transaction.connection, body.action, wanted)
            expires_at = now + self._jobs_live
            job = RuleJob(
                uuid7(), body.action, body.why, *wanted, rules, body.per_second, who.name, now, expires_at
            )
            await job_store.insert(transaction.connection, job)
            await note(transaction, job, who.name, "proposed", body.why)
            return await _shown(transaction, job)

        view = await self._transactions.run(work)
        response.headers["Location"] = f"/v1/operator/rule-jobs/{view.job_id}"
        return view

    async def start(self, job_id: UUID, body: StartRules, who: Acting) -> RuleJobView:
        """Do it, to the rules that match by then; each is audited by itself."""

        async def work(transaction: Transaction) -> RuleJobView:
            job, now = await _locked(transaction, job_id), transaction.now
            against = hindrance(job, body.rules, now)
            if against is not None:
                raise Problem(
                    HTTPStatus.CONFLICT,
                    type=against.problem,
                    detail=f"{against.detail} Nothing was started.",
                    state=job.state_at(now),
                    rules=job.rules,
                )
            started = job._replace(state="running", started_by=who.name, started_at=now, next_at=now)
            return await _changed(transaction, started, who.name, "started", body.why)

        return await self._transactions.run(work)

    async def stop(self, job_id: UUID, body: Because, who: Acting) -> RuleJobView:
        """End it where it is, for good; what it has done stays done."""

        async def work(transaction: Transaction) -> RuleJobView:
            job, now = await _locked(transaction, job_id), transaction.now
            if job.state_at(now) not in ("running", "dry_run"):
                raise Problem(
                    HTTPStatus.CONFLICT,
                    type="rule-job-not-stoppable",
                    detail=f"The job is {job.state_at(now)}: nothing of it is to come. Possible: nothing.",
                    state=job.state_at(now),
                )
            stopped = job._replace(state="stopped", ended_by=who.name, ended_at=now)
            return await _changed(transaction, stopped, who.name, "stopped", body.why)

        return await self._transactions.run(work)

    async def read(self, job_id: UUID, _who: Looking) -> RuleJobView:
        """How far it is."""
        async with self._transactions.begin() as transaction:
            return await _shown(transaction, await _locked(transaction, job_id))

    async def find(self, position: Cursor, _who: Looking) -> Page[RuleJobView]:
        """Rule jobs, newest first, without samples."""
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            now = transaction.now
            rows = await job_store.list_jobs(transaction.connection, after, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda job: (job.made_at, str(job.job_id)))
        return Page(items=[_view(job, now, []) for job in kept], next_cursor=next_cursor)


async def _locked(transaction: Transaction, job_id: UUID) -> RuleJob:
    job = await job_store.lock(transaction.connection, job_id)
    if job is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            type="rule-job-not-found",
            title="There is no such rule job",
            detail=f"No rule job has the id {job_id}. Find it in GET /v1/operator/rule-jobs.",
        )
    return job


async def _changed(transaction: Transaction, job: RuleJob, by: str, step: str, why: str) -> RuleJobView:
    await job_store.save(transaction.connection, job)
    await note(transaction, job, by, step, why)
    return await _shown(transaction, job)


async def _shown(transaction: Transaction, job: RuleJob) -> RuleJobView:
    sample = await job_store.match(transaction.connection, job.action, job.filter, job.reached, SAMPLE)
    return _view(job, transaction.now, sample)


def _view(job: RuleJob, now: datetime, sample: list[str]) -> RuleJobView:
    wanted = {name: value for name, value in job.filter._asdict().items() if value is not None}
    told = {"filter": wanted, "state": job.state_at(now), "sample": sample}
    return RuleJobView.model_validate(job._asdict() | told)
