"""A small service behind the house's HTTP application, served for real on a free port."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
import structlog
from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field, TypeAdapter

from shared.contracts.fields import AmountMinor, Id, Instant
from shared.http.application import create_app
from shared.http.body import Answer, Body
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.caller import Caller
from shared.http.idempotency import IdempotencyKey
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.http.server import HttpServer
from shared.http.trace import TraceParent
from shared.observability.logging import configure_logging

MAX_BODY_BYTES = 20_000
_PLACE = TypeAdapter(tuple[AwareDatetime, UUID])


class Address(Body):
    """One of the forms that a place is named in."""

    street: Id
    floor: int = 0


class NewParcel(Body):
    name: Id
    amount_minor: AmountMinor
    at: Instant | None = None
    codes: tuple[Id, ...] = ()
    note: str = ""
    stops: Annotated[tuple[Literal["home", "work"] | Address, ...] | None, Field(min_length=2)] = None


class Parcel(Answer):
    name: str
    key: str
    caller: str
    traceparent: str


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The last part of the problem's type, after checking that it is a whole problem document."""
        assert self.headers["content-type"] == "application/problem+json", self.body
        document = self.json
        assert document["status"] == self.status
        assert document["title"]
        assert document["detail"]
        assert document["instance"].startswith("/")
        return str(document["type"]).removeprefix("urn:recarga:problem:")


Ask = Callable[..., Awaitable[Reply]]


def lines() -> APIRouter:
    router = APIRouter()

    @router.post("/v1/lines")
    async def count(request: Request) -> int:
        return len((await request.body()).splitlines())

    return router


def parcels() -> APIRouter:
    router = APIRouter(prefix="/v1/parcels")

    @router.post("", status_code=202)
    async def add(body: NewParcel, key: IdempotencyKey, caller: Caller, traceparent: TraceParent) -> Parcel:
        """Adds a parcel."""
        return Parcel(name=body.name, key=key, caller=caller, traceparent=traceparent)

    @router.get("")
    async def listed(
        cursor: Cursor, size: Annotated[list[Literal["s", "m"] | Literal["l"]] | None, Query()] = None
    ) -> Page[str]:
        after = cursor.after(_PLACE)
        return Page(items=[] if after is None else [str(after[1])])

    @router.post("/bulk")
    async def add_all(bulk: Bulk[NewParcel]) -> BulkAnswer:
        taken = {
            index: Problem(409, type="parcel-exists", detail=f"There is a parcel {item.name}.")
            for index, item in bulk.valid
            if item.name == "taken"
        }
        return bulk.answer(taken)

    @router.get("/slow")
    async def slow() -> Parcel:
        raise TimeoutError("no connection in 1 s")

    @router.get("/broken")
    async def broken() -> Parcel:
        raise KeyError("card 4242424242424242")

    @router.get("/{parcel_id}")
    async def one(parcel_id: UUID) -> Parcel:
        raise Problem(
            404,
            type="parcel-not-found",
            detail=f"There is no parcel {parcel_id}: compare the id with the list.",
            parcel_id=str(parcel_id),
        )

    return router


@pytest.fixture(scope="module")
def components() -> list[tuple[str, bool, str]]:
    """What the readiness of the service answers; a test may change it."""
    return [("store", True, ""), ("queue", True, "")]


@pytest.fixture(scope="module")
def logged() -> Iterator[io.BytesIO]:
    """What the service logged."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    output = io.BytesIO()
    configure_logging("parcels", "parcels-1", output=output)
    yield output
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
async def ask(logged: io.BytesIO, components: list[tuple[str, bool, str]]) -> AsyncIterator[Ask]:
    async def readiness() -> list[tuple[str, bool, str]]:
        return components

    app = create_app(
        title="Parcels",
        description="Parcels & <what> is in them.",
        routers=[parcels(), lines()],
        readiness=readiness,
        service="parcels",
        max_body_bytes=MAX_BODY_BYTES,
        line_paths=["/v1/lines"],
    )
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()

    async def asked(
        method: str, path: str, body: bytes | object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        return await request(server.port, method, path, body, headers)

    yield asked
    await server.stop(1)


async def request(
    port: int, method: str, path: str, body: bytes | object = None, headers: Mapping[str, str] | None = None
) -> Reply:
    """One request on a connection of its own; a body that is not bytes is sent as JSON."""
    payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = {"host": "localhost", "connection": "close", "content-type": "application/json"}
    sent |= {"content-length": str(len(payload))} | {
        name.lower(): value for name, value in (headers or {}).items()
    }
    if "transfer-encoding" in sent:
        del sent["content-length"]
        payload = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in _parts(payload)) + b"0\r\n\r\n"
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode("latin-1") + b"\r\n" + payload)
        answer = await reader.read()
        writer.close()
    raw_head, _, answer_body = answer.partition(b"\r\n\r\n")
    status, *lines = raw_head.decode().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Reply(int(status.split()[1]), {name.lower(): value for name, value in pairs}, answer_body)


def _parts(payload: bytes) -> list[bytes]:
    return [payload[begin : begin + 4096] for begin in range(0, len(payload), 4096)]
