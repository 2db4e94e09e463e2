"""The HTTP API of bulk jobs: a dry-run shows what would be done, starting it does that, slowly.

A job that decides about money is started by another operator than the one who made it.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field, TypeAdapter
from uuid_utils.compat import uuid7

from services.renewal import store as renewals
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.trial import does_something
from services.renewal.operators import bulk_store, store
from services.renewal.operators.bulk import ended
from services.renewal.operators.bulk_views import (
    SAMPLE,
    JobView,
    NewJob,
    Start,
    TargetView,
    job_view,
    target_view,
)
from services.renewal.operators.domain.bulk import Job, Result, hindrance
from services.renewal.operators.domain.decision import CHOICES, Decision
from services.renewal.operators.domain.filter import CaseName, cases_of
from services.renewal.operators.views import Because
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions
from shared.operators.who import Acting, Gate, Looking

_PLACE: Final[TypeAdapter[tuple[AwareDatetime, UUID]]] = TypeAdapter(tuple[AwareDatetime, UUID])
_TARGET: Final = TypeAdapter(tuple[Annotated[int, Field(ge=0, lt=2**31)]])


class BulkRoutes:
    """The routes under /v1/operator/jobs. `most` bounds the renewals of one job."""

    def __init__(
        self, transactions: Transactions, policy: Policy, gate: Gate, most: int, jobs_live: timedelta
    ) -> None:
        self._transactions = transactions
        self._policy = policy
        self._most = most
        self._jobs_live = jobs_live
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        add, jobs = router.add_api_route, "/v1/operator/jobs"
        add(jobs, self.make, methods=["POST"], status_code=HTTPStatus.CREATED)
        add(jobs, self.find, methods=["GET"])
        add(f"{jobs}/{{job_id}}", self.read, methods=["GET"])
        add(f"{jobs}/{{job_id}}/renewals", self.read_renewals, methods=["GET"])
        add(f"{jobs}/{{job_id}}/start", self.start, methods=["POST"], status_code=HTTPStatus.ACCEPTED)
        add(f"{jobs}/{{job_id}}/stop", self.stop, methods=["POST"])

    async def make(self, body: NewJob, who: Acting, response: Response) -> JobView:
        """A dry-run: which renewals would be acted upon. Nothing is done to any before it is started."""
        _check_choice(body)

        async def work(transaction: Transaction) -> JobView:
            connection, now = transaction.connection, transaction.now
            matched = await bulk_store.match(connection, body.filter.wanted, now, self._most + 1)
            if len(matched) > self._most:
                raise _too_many(self._most, body.filter.case)
            able = await self._able(transaction, body, [one.renewal_id for one in matched])
            targets = [one for one in matched if one.renewal_id in able]
            by_state = Counter(one.state for one in targets)
            job = Job(
                uuid7(),
                body.action,
                body.choice,
                body.why,
                body.filter.model_dump_json(exclude_unset=True),
                orjson.dumps(by_state).decode(),
                len(matched),
                len(targets),
                body.per_second,
                who.name,
                now,
                now + self._jobs_live,
            )
            await bulk_store.insert(connection, job, targets)
            await store.write_audit(connection, now, [ended(job, who.name, "proposed", body.why)])
            return await _shown(transaction, job)

        view = await self._transactions.run(work)
        response.headers["Location"] = f"/v1/operator/jobs/{view.job_id}"
        return view

    async def _able(self, transaction: Transaction, body: NewJob, ids: Sequence[UUID]) -> set[UUID]:
        """Those to whom the action would do something. It is tried on one of each kind: there are few.

        To release a closed renewal settles all its cases: one that has others, too, is looked at by itself.
        """
        connection, moment = transaction.connection, Moment(transaction.now, self._policy)
        action = Decision(body.action, body.choice).asked_by("anybody", "")
        able: set[UUID] = set()
        for alike in await store.list_kinds(connection, ids):
            one = await renewals.read(connection, alike[0])
            if one is None or not does_something(one, action, moment):
                continue
            if body.action != "release" or body.filter.case is None or len(cases_of(one)) == 1:
                able.update(alike)
        return able

    async def start(self, job_id: UUID, body: Start, who: Acting) -> JobView:
        """Do it, to the renewals that are still as the dry-run saw them; each is audited by itself."""

        async def work(transaction: Transaction) -> JobView:
            job = await _locked(transaction, job_id)
            against = hindrance(job, who.name, body.renewals, transaction.now)
            if against is not None:
                second = against.problem == "second-person-needed"
                raise Problem(
                    HTTPStatus.FORBIDDEN if second else HTTPStatus.CONFLICT,
                    type=against.problem,
                    detail=f"{against.detail} Nothing was started.",
                    state=job.state_at(transaction.now),
                    renewals=job.renewals,
                )
            now = transaction.now
            started = job._replace(state="running", started_by=who.name, started_at=now, next_at=now)
            return await _changed(transaction, started, who.name, "started", body.why)

        return await self._transactions.run(work)

    async def stop(self, job_id: UUID, body: Because, who: Acting) -> JobView:
        """End it where it is, for good; what it has done stays done."""

        async def work(transaction: Transaction) -> JobView:
            job = await _locked(transaction, job_id)
            now = transaction.now
            if job.state_at(now) not in ("running", "dry_run"):
                raise Problem(
                    HTTPStatus.CONFLICT,
                    type="bulk-not-stoppable",
                    detail=f"The job is {job.state_at(now)}: nothing of it is to come. Possible: nothing.",
                    state=job.state_at(now),
                )
            stopped = job._replace(state="stopped", ended_by=who.name, ended_at=now)
            return await _changed(transaction, stopped, who.name, "stopped", body.why)

        return await self._transactions.run(work)

    async def read(self, job_id: UUID, _who: Looking) -> JobView:
        """How far it is."""
        async with self._transactions.begin() as transaction:
            job = await bulk_store.read(transaction.connection, job_id)
            if job is None:
                raise _not_found(job_id)
            return await _shown(transaction, job)

    async def find(self, position: Cursor, _who: Looking) -> Page[JobView]:
        """Bulk jobs, newest first, without samples."""
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            now = transaction.now
            rows = await bulk_store.list_jobs(transaction.connection, after, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda job: (job.made_at, str(job.job_id)))
        return Page(items=[job_view(job, now, []) for job in kept], next_cursor=next_cursor)

    async def read_renewals(
        self, job_id: UUID, position: Cursor, _who: Looking, result: Annotated[Result | None, Query()] = None
    ) -> Page[TargetView]:
        """The renewals of a job in their order, and what came of each; kept for 30 days."""
        after = position.after(_TARGET)
        async with self._transactions.begin() as transaction:
            if await bulk_store.read(transaction.connection, job_id) is None:
                raise _not_found(job_id)
            rows = await bulk_store.read_targets(
                transaction.connection, job_id, after[0] if after else 0, position.limit + 1, result
            )
        kept, next_cursor = position.cut(rows, lambda target: (target.place,))
        return Page(items=[target_view(target) for target in kept], next_cursor=next_cursor)


def _check_choice(body: NewJob) -> None:
    allowed = CHOICES.get(body.action, ())
    if (body.choice in allowed) if allowed else (body.choice is None):
        return
    wanted = f"one of {', '.join(allowed)}" if allowed else "no choice"
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type="choice-not-allowed",
        detail=f"The action {body.action} wants {wanted}. Nothing was done.",
        allowed=list(allowed),
    )


def _too_many(most: int, case: CaseName | None) -> Problem:
    which = "open renewals" if case is None else f"renewals with the case {case}"
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type="too-many-renewals",
        detail=f"More than {most} {which} match, and a job holds at most so many. "
        "Narrow the filter, by carrier, state or age. Nothing was made.",
        most=most,
    )


async def _locked(transaction: Transaction, job_id: UUID) -> Job:
    job = await bulk_store.lock(transaction.connection, job_id)
    if job is None:
        raise _not_found(job_id)
    return job


def _not_found(job_id: UUID) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="job-not-found",
        title="There is no such bulk job",
        detail=f"No bulk job has the id {job_id}. Find it in GET /v1/operator/jobs.",
    )


async def _changed(transaction: Transaction, job: Job, by: str, step: str, why: str) -> JobView:
    await bulk_store.save(transaction.connection, job)
    await store.write_audit(transaction.connection, transaction.now, [ended(job, by, step, why)])
    return await _shown(transaction, job)


async def _shown(transaction: Transaction, job: Job) -> JobView:
    sample = await bulk_store.read_targets(transaction.connection, job.job_id, 0, SAMPLE)
    return job_view(job, transaction.now, sample)
