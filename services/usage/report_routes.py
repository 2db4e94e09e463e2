"""Carriers' reports over HTTP, and what the last one was compared to."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from services.usage.domain.reconcile import Verdict
from services.usage.reports import SQL, Reports
from shared.contracts.fields import Bytes, Iccid, Id, Instant
from shared.contracts.usage_records import BalanceReported
from shared.http.body import Answer, Body
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.problems import Problem
from shared.messaging.transaction import Transactions


class BalanceReport(Body):
    """What the carrier says is left of an ICCID's data, as in BalanceReported."""

    source: Id
    report_id: Id
    iccid: Iccid
    remaining_bytes: Bytes
    expires_at: Instant | None = None
    reported_at: Instant

    @property
    def message(self) -> BalanceReported:
        return BalanceReported(**self.model_dump())


class ReportResult(Answer):
    """What became of a report that could be read."""

    index: int
    result: Verdict = Field(
        description="stale: no newer than the last one; unsettled: so close to a top-up that it may or may "
        "not have it; of an unknown_iccid: compared once it has a subscription, where none is newer then; "
        "dropped: the same, but too many are kept already: send it again"
    )


class ReportsAnswer(BulkAnswer):
    """How many were accepted, every one that was not, and what became of the accepted ones."""

    results: list[ReportResult]


class DriftAnswer(Answer):
    """The newest report that was compared. Bytes; above 0 the carrier had more than we."""

    subscription_id: str
    source: str
    reported_at: datetime
    theirs_bytes: int
    ours_bytes: int
    drift_bytes: int = Field(description="theirs less ours, by all the records that we had seen")
    corrected_bytes: int = Field(description="what the buckets were changed by")
    unplaced_bytes: int = Field(description="what no bucket could take")
    compared_at: datetime


def routes(transactions: Transactions, reports: Reports) -> APIRouter:
    """The routes, on this service's transactions."""
    router = APIRouter(prefix="/v1", tags=["usage"])

    @router.post("/balance-reports/bulk")
    async def post_reports(body: Bulk[BalanceReport]) -> ReportsAnswer:
        """Up to 1,000 reports, each judged by itself. The newest of each subscription counts, theirs wins."""
        valid = body.valid
        messages = [item.message for _, item in valid]
        verdicts = (
            await transactions.run(lambda transaction: reports.hear(transaction, messages))
            if messages
            else []
        )
        answer = body.answer()
        results = [
            ReportResult(index=index, result=verdict)
            for (index, _), verdict in zip(valid, verdicts, strict=True)
        ]
        return ReportsAnswer(accepted=answer.accepted, refused=answer.refused, results=results)

    @router.get("/subscriptions/{subscription_id}/drift")
    async def get_drift(subscription_id: Annotated[Id, Path()]) -> DriftAnswer:
        """What the carrier said last, and what we had."""
        row = await transactions.pool.fetchrow(SQL["drift"], subscription_id, timeout=10)
        if row is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                type="drift-not-found",
                title="No report was compared",
                detail=f"No report of the carrier about subscription {subscription_id} was compared yet. "
                "Compare the id, and in GET /v1/carriers/{carrier} whether the carrier reports at all.",
            )
        return DriftAnswer(**row)

    return router
