"""A post office behind the house's HTTP application, which a test can make busy, deaf or slow."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from fastapi import APIRouter

from shared.http.application import create_app
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.problems import Problem
from shared.http.server import HttpServer
from tests.unit.shared.imports.parcels import Parcel

DEADLINE_SECONDS = 10


@dataclass
class Post:
    """`answers` are given instead of the usual one, in order; while `held` is set, nothing is answered."""

    url: str = ""
    parcels: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    most_at_once: int = 0
    answers: list[Problem] = field(default_factory=list)
    unknown_streets: int = 0
    """How many requests find `street` unknown."""
    hold_from: int = 1_000_000
    """The number of the request from which on nothing is answered until `released`."""
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route("/v1/parcels/bulk", self.take, methods=["POST"])
        return router

    async def take(self, body: Bulk[Parcel]) -> BulkAnswer:
        self.requests += 1
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            if self.requests >= self.hold_from:
                self.holding.set()
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await self.released.wait()
            await asyncio.sleep(0)
            if self.answers:
                raise self.answers.pop(0)
            return self._taken(body)
        finally:
            self.under_way -= 1

    def _taken(self, body: Bulk[Parcel]) -> BulkAnswer:
        refused = {}
        for index, parcel in body.valid:
            if parcel.label == "street" and self.unknown_streets:
                self.unknown_streets -= 1
                refused[index] = Problem(404, "street-unknown", detail="The street is not known yet.")
            elif parcel.label.startswith("taken"):
                refused[index] = Problem(409, "parcel-exists", detail="There is such a parcel.")
            else:
                self.parcels[parcel.parcel_id] = parcel.grams
        return body.answer(refused)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    office = Post()

    async def ready() -> list[tuple[str, bool, str]]:
        return []

    app = create_app(title="Post", description="", routers=[office.router()], readiness=ready)
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    office.url = f"http://127.0.0.1:{server.port}"
    yield office
    office.released.set()
    await server.stop(2)
