"""Usage records over HTTP: many lines in, one answer for each, sent once its transaction has committed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any, Final

import asyncpg
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from services.usage.domain.arrivals import Arrived, Result
from services.usage.handlers import CountUsage
from services.usage.records.answers import LineAnswer, answer, written
from services.usage.records.lines import MAX_LINE_BYTES, MAX_LINES, Fault, Line, TooManyLines, read_lines
from shared.contracts.usage_records import UsageRecorded
from shared.http.intake import NDJSON
from shared.http.problems import Problem, overloaded
from shared.http.trace import TraceParent
from shared.messaging.transaction import Transactions
from shared.observability.logging import get_logger

PATH: Final = "/v1/usage-records"
AT_ONCE: Final = 3
"""Transactions of this process for HTTP: what comes over Kafka needs connections, too."""
TURN_SECONDS: Final = 10.0
MEETINGS: Final = 5
"""Times that two processes may bring the same unknown record at the same moment."""
_AWAY: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
_log = get_logger(__name__)

_DESCRIBED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": f"At most {MAX_LINES:,} lines of up to {MAX_LINE_BYTES:,} bytes, a usage record each.",
        "content": {NDJSON: {"schema": UsageRecorded.model_json_schema()}},
    }
}
_ANSWERED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "One line for each line that is not empty, in their order.",
        "content": {NDJSON: {"schema": LineAnswer.model_json_schema()}},
    }
}


def routes(transactions: Transactions, counting: CountUsage, batch_records: int) -> APIRouter:
    """The route, on this service's transactions, of at most `batch_records` lines each."""
    router = APIRouter(tags=["usage"])
    lines = _Lines(transactions, counting)

    @router.post(PATH, response_class=Response, responses=_ANSWERED, openapi_extra=_DESCRIBED)
    async def post_usage_records(request: Request, traceparent: TraceParent) -> Response:
        """Usage records as NDJSON, each line judged by itself.

        They are counted in several transactions, in their order, and each line is answered when its own has
        committed. Whoever loses the connection sends everything again: what counted is a duplicate then.
        """
        found = _found(await request.body())
        batches = [found[start : start + batch_records] for start in range(0, len(found), batch_records)]
        # Before the status is sent, so that a database that is away is told by it.
        first = await lines.count(batches[0], traceparent)
        return StreamingResponse(lines.answers(first, batches[1:], traceparent), media_type=NDJSON)

    return router


def _found(body: bytes) -> list[Line]:
    try:
        found = read_lines(body)
    except TooManyLines:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            type="too-many-lines",
            detail=f"The body has more than {MAX_LINES:,} lines, so nothing was done. "
            "Send fewer at once, in several requests.",
            max_lines=MAX_LINES,
        ) from None
    if not found:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            type="no-lines",
            title="The body has no line",
            detail="The body is empty, so nothing was done. Send a usage record as JSON on each line.",
        )
    return found


class _Lines:
    """Counts lines by the very code that counts what comes over Kafka."""

    def __init__(self, transactions: Transactions, counting: CountUsage) -> None:
        self._transactions = transactions
        self._counting = counting
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def count(self, batch: Sequence[Line], traceparent: str) -> list[LineAnswer]:
        """Count one batch in one transaction; it has committed when this returns.

        Raises:
            Problem: 503. The process is busy, or the database is away.
        """
        arrived = [Arrived(line.read, traceparent) for line in batch if isinstance(line.read, UsageRecorded)]
        results = iter(await self._in_turn(arrived))
        return [answer(line, "invalid" if isinstance(line.read, Fault) else next(results)) for line in batch]

    async def answers(
        self, first: Sequence[LineAnswer], batches: Sequence[Sequence[Line]], traceparent: str
    ) -> AsyncIterator[bytes]:
        """The answers of all batches. After a failure no more is tried: what is left is `unavailable`."""
        yield written(first)
        is_away = False
        for batch in batches:
            if not is_away:
                try:
                    answered = await self.count(batch, traceparent)
                except Problem:
                    is_away = True
            if is_away:
                answered = [answer(line, "unavailable") for line in batch]
            yield written(answered)

    async def _in_turn(self, arrived: Sequence[Arrived]) -> list[Result]:
        if not arrived:
            return []
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise overloaded() from None
        try:
            return await self._counted(arrived)
        except _AWAY as error:
            _log.warning("usage_lines_not_counted", error=f"{type(error).__name__}: {error}")
            raise _away() from error
        finally:
            self._turns.release()

    async def _counted(self, arrived: Sequence[Arrived]) -> list[Result]:
        for _ in range(MEETINGS):
            try:
                return await self._transactions.run(
                    lambda transaction: self._counting.count(transaction, arrived)
                )
            except asyncpg.UniqueViolationError:
                # Somebody else brought a record that nobody's lock guards. It is found the next time.
                continue
        raise _away()


def _away() -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        type="usage-not-counted",
        title="The records were not counted",
        detail="The database does not answer, so it is not known whether any of the records counted. "
        "Send all of them again after the time in Retry-After: what counted already counts once.",
        headers={"retry-after": "2"},
    )
