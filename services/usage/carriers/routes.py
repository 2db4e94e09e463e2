"""Carriers' settings over HTTP: read, replaced as a whole, every version kept with who set it."""

from http import HTTPStatus
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Path
from pydantic import TypeAdapter

from services.usage.carriers.bodies import CarrierAnswer, CarrierBody, CarrierSettings, CarrierVersionAnswer
from services.usage.counting import Carriers
from shared.contracts.fields import Id
from shared.database import Connection
from shared.database.queries import load_queries
from shared.http.caller import Caller
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

SQL = load_queries(__file__)
PLACE: TypeAdapter[tuple[int]] = TypeAdapter(tuple[int])
"""Where a page begins: the last version that was seen."""

CarrierName = Annotated[Id, Path(description="as subscriptions name it")]


def routes(transactions: Transactions, carriers: Carriers) -> APIRouter:
    """The routes. `carriers` learns of a change at once in this process, everywhere within 5 seconds."""
    router = APIRouter(prefix="/v1/carriers", tags=["carriers"])

    @router.get("/{carrier}")
    async def get_carrier(carrier: CarrierName) -> CarrierAnswer:
        """How the carrier's subscriptions are counted."""
        async with transactions.pool.acquire(timeout=10) as connection:
            found = await _read(connection, carrier)
        if found is None:
            raise _not_found(carrier)
        return found

    @router.put("/{carrier}")
    async def put_carrier(carrier: CarrierName, body: CarrierBody, caller: Caller) -> CarrierAnswer:
        """Replace the settings. The same again changes nothing, whatever version it names."""
        answer = await transactions.run(lambda transaction: _set(transaction, carrier, body, caller))
        carriers.forget()
        return answer

    @router.get("/{carrier}/versions")
    async def get_versions(carrier: CarrierName, position: Cursor) -> Page[CarrierVersionAnswer]:
        """What was set by whom, newest first."""
        (before,) = position.after(PLACE) or (None,)
        async with transactions.pool.acquire(timeout=10) as connection:
            if await _read(connection, carrier) is None:
                raise _not_found(carrier)
            rows = await connection.fetch(SQL["versions"], carrier, before, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda row: (row["version"],))
        return Page(items=[_version_answer(row) for row in kept], next_cursor=next_cursor)

    return router


async def _read(connection: Connection, carrier: str) -> CarrierAnswer | None:
    row = await connection.fetchrow(SQL["carrier"], carrier)
    return None if row is None else CarrierAnswer(**row)


async def _set(transaction: Transaction, carrier: str, body: CarrierBody, set_by: str) -> CarrierAnswer:
    connection, settings = transaction.connection, body.settings
    await connection.execute(SQL["lock_carriers"])
    found = await _read(connection, carrier)
    if found is not None and _settings(found) == settings:
        return found
    version = 0 if found is None else found.version
    if body.version != version:
        raise _changed(carrier, version)
    values = settings.model_dump()
    await connection.execute(
        SQL["set_carrier"], carrier, *values.values(), version + 1, set_by, transaction.now
    )
    text = settings.model_dump_json()
    await connection.execute(SQL["insert_version"], carrier, version + 1, text, set_by, transaction.now)
    return CarrierAnswer(
        carrier=carrier, version=version + 1, set_by=set_by, set_at=transaction.now, **values
    )


def _settings(answer: CarrierAnswer) -> CarrierSettings:
    return CarrierSettings.model_construct(
        **answer.model_dump(exclude={"carrier", "version", "set_by", "set_at"})
    )


def _version_answer(row: asyncpg.Record) -> CarrierVersionAnswer:
    settings = CarrierSettings.model_validate_json(row["settings"])
    return CarrierVersionAnswer(**{**row, "settings": settings})


def _not_found(carrier: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="carrier-not-found",
        title="The carrier has no settings of its own",
        detail=f"Nothing was set for carrier {carrier}, so it goes by the service's settings. "
        "Compare its name with the one in subscriptions, or PUT its settings with version 0.",
    )


def _changed(carrier: str, version: int) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="carrier-changed",
        title="The settings have changed meanwhile",
        detail=f"The settings of carrier {carrier} are at version {version}, so nothing was done. "
        "Read them, compare, and send yours with that version.",
        version=version,
    )
