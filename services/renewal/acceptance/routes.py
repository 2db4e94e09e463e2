"""The HTTP API of the acceptance policy: its entries, one by one and in bulk; every change is audited."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Path, Query
from pydantic import StringConstraints, TypeAdapter

from services.renewal.acceptance import store
from services.renewal.domain.acceptance import Entry, Verdict
from services.renewal.operators.store import Deed, write_audit
from services.renewal.operators.views import Because, Why
from shared.http.body import Answer
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions
from shared.operators.who import Acting, Gate, Looking

Place = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2}|\*)$")]
"""ISO 3166-1 alpha-2, or `*` for all."""
Kind = Annotated[str, StringConstraints(pattern=r"^(card|paypal|wallet|\*)$")]
_PLACE: Final[TypeAdapter[tuple[Place, Place, Kind]]] = TypeAdapter(tuple[Place, Place, Kind])


class Judged(Because):
    """What an entry says. `allow` is for what a less specific entry refuses."""

    verdict: Verdict


class NewEntry(Judged):
    """An entry with its place in the table."""

    destination: Place
    payer_country: Place
    method_kind: Kind

    @property
    def entry(self) -> Entry:
        return Entry(self.destination, self.payer_country, self.method_kind, self.verdict)


class EntryView(Answer):
    """An entry, who set it and why."""

    destination: str
    payer_country: str
    method_kind: str
    verdict: Verdict
    why: str
    set_by: str
    set_at: datetime


class AcceptanceRoutes:
    """The routes under /v1/operator/acceptance."""

    def __init__(self, transactions: Transactions, gate: Gate) -> None:
        self._transactions = transactions
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        add, entries = router.add_api_route, "/v1/operator/acceptance"
        one = f"{entries}/{{destination}}/{{payer_country}}/{{method_kind}}"
        add(entries, self.find, methods=["GET"])
        add(f"{entries}/bulk", self.set_many, methods=["POST"])
        add(one, self.set, methods=["PUT"])
        add(one, self.remove, methods=["DELETE"])

    async def find(self, position: Cursor, _who: Looking) -> Page[EntryView]:
        """The table: what is not in it is allowed; of several entries the most specific holds."""
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            rows = await store.list_entries(transaction.connection, after, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda row: row[:3])
        return Page(items=[_view(row) for row in kept], next_cursor=next_cursor)

    async def set(
        self,
        destination: Annotated[Place, Path()],
        payer_country: Annotated[Place, Path()],
        method_kind: Annotated[Kind, Path()],
        body: Judged,
        who: Acting,
    ) -> EntryView:
        """Set one entry. It holds for what is asked for from now on; what is under way goes on."""
        entry = Entry(destination, payer_country, method_kind, body.verdict)

        async def work(transaction: Transaction) -> EntryView:
            await _write(transaction, [entry], body.why, who.name)
            return EntryView.model_validate(
                entry._asdict() | {"why": body.why, "set_by": who.name, "set_at": transaction.now}
            )

        return await self._transactions.run(work)

    async def set_many(self, body: Bulk[NewEntry], who: Acting) -> BulkAnswer:
        """Set many entries; each is judged by itself, and of two about the same the later one holds."""

        async def work(transaction: Transaction) -> None:
            by_why: dict[str, dict[store.Key, Entry]] = {}
            last = {item.entry[:3]: item for _, item in body.valid}
            for key, item in last.items():
                by_why.setdefault(item.why, {})[key] = item.entry
            for why, entries in sorted(by_why.items()):
                await _write(transaction, list(entries.values()), why, who.name)

        if body.valid:
            await self._transactions.run(work)
        return body.answer()

    async def remove(
        self,
        destination: Annotated[Place, Path()],
        payer_country: Annotated[Place, Path()],
        method_kind: Annotated[Kind, Path()],
        why: Annotated[Why, Query()],
        who: Acting,
    ) -> EntryView:
        """Take an entry out: a less specific one holds then, or everything is allowed. Tells what it was."""
        key = (destination, payer_country, method_kind)

        async def work(transaction: Transaction) -> EntryView:
            gone = await store.delete(transaction.connection, key)
            if gone is None:
                raise _not_found(key)
            deed = _deed(who.name, "remove acceptance", key, why, before=gone.verdict, after=None)
            await write_audit(transaction.connection, transaction.now, [deed])
            return _view(gone)

        return await self._transactions.run(work)


async def _write(transaction: Transaction, entries: list[Entry], why: str, by: str) -> None:
    known = await store.write(transaction.connection, entries, why, by, transaction.now)
    deeds = []
    for entry in entries:
        key = entry[:3]
        before = known[key].verdict if key in known else None
        deeds.append(_deed(by, "set acceptance", key, why, before=before, after=entry.verdict))
    await write_audit(transaction.connection, transaction.now, deeds)


def _deed(by: str, action: str, key: store.Key, why: str, *, before: str | None, after: str | None) -> Deed:
    """Its line of the audit; None where the table says nothing of it."""
    was, becomes = (orjson.dumps({"verdict": verdict}).decode() for verdict in (before, after))
    return Deed(by, "done", action, " ".join(key), why, before=was, after=becomes)


def _view(row: store.KeptEntry) -> EntryView:
    return EntryView.model_validate(row._asdict())


def _not_found(key: store.Key) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="acceptance-entry-not-found",
        title="There is no such entry",
        detail=f"The table says nothing about {' '.join(key)}. List it with GET /v1/operator/acceptance.",
    )
