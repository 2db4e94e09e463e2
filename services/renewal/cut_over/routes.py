"""The HTTP API of the cut-over: which subscriptions are live, set as a whole, in steps that are audited."""

from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Path
from pydantic import TypeAdapter

from services.renewal.cut_over import store
from services.renewal.cut_over.domain.cohort import ALL, Cohort, bucket, is_live, share_of
from services.renewal.cut_over.store import Setting
from services.renewal.cut_over.views import (
    CutOverBody,
    CutOverSummary,
    CutOverView,
    LivenessView,
    summary,
    view,
)
from services.renewal.operators.store import Deed, write_audit
from shared.contracts.fields import Count, Id
from shared.database import Connection
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions
from shared.operators.who import Acting, Gate, Looking

_PLACE: Final[TypeAdapter[tuple[int]]] = TypeAdapter(tuple[Count])


class CutOverRoutes:
    """The routes under /v1/cut-over."""

    def __init__(self, transactions: Transactions, gate: Gate) -> None:
        self._transactions = transactions
        self.router = router = APIRouter(tags=["cut-over"], dependencies=[Depends(gate)])
        path = "/v1/cut-over"
        router.add_api_route(path, self.put, methods=["PUT"])
        router.add_api_route(path, self.read, methods=["GET"])
        router.add_api_route(f"{path}/versions", self.find, methods=["GET"])
        router.add_api_route(f"{path}/subscriptions/{{subscription_id}}", self.explain, methods=["GET"])

    async def put(self, body: CutOverBody, who: Acting) -> CutOverView:
        """Say who is live from the next trigger on. Whoever is live stays so when a percentage rises."""

        async def work(transaction: Transaction) -> CutOverView:
            connection = transaction.connection
            before = await _shown(connection)
            if _says_the_same(before, body):
                return before
            if body.replaces != before.version:
                raise _changed_meanwhile(body.replaces, before.version)
            live, shadow = sorted(set(body.live)), sorted(set(body.shadow))
            setting = Setting(
                before.version + 1,
                body.percent,
                body.wanted,
                len(live),
                len(shadow),
                body.why,
                who.name,
                transaction.now,
            )
            if not await store.insert(connection, setting):
                raise _changed_meanwhile(body.replaces, setting.version)
            await store.replace_lists(connection, live, shadow)
            after = view(setting, live, shadow)
            deed = Deed(
                who.name,
                "done",
                "set cut-over",
                str(setting.version),
                body.why,
                before=_told(before),
                after=_told(after),
            )
            await write_audit(connection, transaction.now, [deed])
            return after

        return await self._transactions.run(work)

    async def read(self, _who: Looking) -> CutOverView:
        """The setting in force."""
        async with self._transactions.begin() as transaction:
            return await _shown(transaction.connection)

    async def find(self, position: Cursor, _who: Looking) -> Page[CutOverSummary]:
        """Every setting that there was, newest first; what each of them named is in the audit."""
        after = position.after(_PLACE)
        before = None if after is None else after[0]
        async with self._transactions.begin() as transaction:
            rows = await store.list_settings(transaction.connection, before, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda setting: (setting.version,))
        return Page(items=[summary(setting) for setting in kept], next_cursor=next_cursor)

    async def explain(self, subscription_id: Annotated[Id, Path()], _who: Looking) -> LivenessView:
        """Whether a subscription is live, and why."""
        async with self._transactions.begin() as transaction:
            connection = transaction.connection
            whereabouts = await store.read_whereabouts(connection, subscription_id)
            if whereabouts is None:
                raise _unknown(subscription_id)
            setting = await store.read(connection)
            listed = await store.read_listed(connection, subscription_id)
        percent = ALL if setting is None else setting.percent
        cohort = Cohort(percent, [] if setting is None else setting.shares, listed)
        return LivenessView(
            subscription_id=subscription_id,
            live=is_live(cohort, subscription_id, *whereabouts),
            bucket=bucket(subscription_id),
            percent=share_of(cohort, *whereabouts),
            named=listed is not None,
        )


async def _shown(connection: Connection) -> CutOverView:
    setting = await store.read(connection)
    if setting is None:
        return view(None, [], [])
    live = await store.read_list(connection, live=True)
    return view(setting, live, await store.read_list(connection, live=False))


def _says_the_same(before: CutOverView, body: CutOverBody) -> bool:
    told = (before.percent, before.shares, before.live, before.shadow)
    wanted = (body.percent, body.wanted, sorted(set(body.live)), sorted(set(body.shadow)))
    return before.version > 0 and told == wanted


def _told(setting: CutOverView) -> str:
    return orjson.dumps(setting.model_dump(mode="json", exclude={"why", "set_by", "set_at"})).decode()


def _changed_meanwhile(replaces: int, version: int) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="cut-over-changed",
        title="The cut-over is not the one that this was made from",
        detail=f"Version {version} is in force, and this replaces version {replaces}. Nothing was changed. "
        "Read it with GET /v1/cut-over, and decide again.",
        version=version,
    )


def _unknown(subscription_id: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="subscription-unknown",
        title="There is no such subscription",
        detail=f"Nobody has told us of subscription {subscription_id}. Check its id in provisioning.",
    )
