"""One service's own wiring on real servers: a test hands it batches and requests, and sees what it says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any, TypeVar

from deploy.local.topics import create_topics
from shared.clock import utc_now
from shared.contracts.message import Message
from shared.contracts.registry import message_class
from shared.contracts.topics import TOPICS
from shared.database import Connection, Pool, open_pool
from shared.http.application import create_app
from shared.http.server import HttpServer
from shared.messaging.consumer import Consumer
from shared.messaging.envelope import Envelope
from shared.messaging.handling import Sender
from shared.messaging.outbox import Outbox
from shared.messaging.producer import Producer
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.health import Readiness
from shared.runner import MAX_BODY_BYTES, Service

AnyMessage = TypeVar("AnyMessage", bound=Message)
HTTP_SECONDS = 20


@dataclass(frozen=True, slots=True)
class ByHand:
    """A record that a test hands over; only what handlers look at."""

    topic: str
    key: bytes
    value: bytes
    partition: int = 0
    offset: int = 0
    timestamp: int = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What an HTTP request was answered."""

    status: int
    body: Any

    @property
    def problem(self) -> str:
        """The last part of the problem's type."""
        assert self.status >= 400, self
        return str(self.body["type"]).removeprefix("urn:recarga:problem:")


class Listening(Outbox):
    """The real outbox, which also remembers what was committed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.committed: list[Envelope] = []

    async def publish(self, envelopes: Sequence[Envelope], batch: int | None) -> None:
        self.committed += envelopes
        await super().publish(envelopes, batch)


def is_ours(statement: str) -> bool:
    """Whether it is a named statement of this project, which begins with the line that says why it exists.

    Each new connection of a pool also asks what the types of its first arrays are. Those questions are the
    driver's, and on which connection a batch finds itself is chance.
    """
    return statement.startswith("-- ")


@contextmanager
def noting(connection: Connection, statements: list[str]) -> Iterator[None]:
    """Note every statement of ours that is run on the connection meanwhile."""

    def note(statement: str) -> None:
        if is_ours(statement):
            statements.append(statement)

    with connection.query_logger(lambda query: note(query.query)):
        yield


@dataclass
class Wired:
    """A service at work. `statements` are ours of the last batch, in order, without the outbox's."""

    url: str
    pool: Pool
    producer: Producer
    outbox: Listening
    transactions: Transactions
    service: Service
    port: int = 0
    statements: list[str] = field(default_factory=list)

    def received(self, message: Message, traceparent: str | None = None) -> Received:
        value = message.model_dump_json().encode()
        record = ByHand(message.topic, message.key.encode(), value)
        return Received(type(message).model_validate_json(value), message.topic, 0, 0, traceparent, record)

    def consumer(self, name: str) -> Consumer:
        return next(consumer for consumer in self.service.consumers if consumer.name == name)

    async def consume(self, name: str, *messages: Message) -> None:
        """Hand one batch to that consumer's handler, in a transaction as the consumer would."""
        batch = [self.received(message) for message in messages]

        async def handle(transaction: Transaction) -> None:
            self.statements.clear()
            with noting(transaction.connection, self.statements):
                await self.consumer(name).handle(transaction, batch)  # type: ignore[arg-type, call-arg]

        await self.transactions.run(handle)

    async def answer(self, name: str, *messages: Message) -> list[Envelope]:
        """Hand one batch to a stateless consumer's handler; what it would publish."""
        sender = Sender(utc_now())
        await self.consumer(name).handle(sender, [self.received(message) for message in messages])  # type: ignore[arg-type, call-arg]
        return sender.outgoing

    def said(self, kind: type[AnyMessage]) -> list[AnyMessage]:
        """Every message of that class that was committed, in order."""
        return [
            kind.model_validate_json(envelope.payload)
            for envelope in self.outbox.committed
            if message_class(envelope.topic, envelope.type) is kind
        ]

    async def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One HTTP request over a connection of its own."""
        return await asyncio.to_thread(self._request, method, path, body, headers or {})

    def _request(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=HTTP_SECONDS)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"content-type": "application/json", **headers})
            response = connection.getresponse()
            return Reply(response.status, json.loads(response.read()))
        finally:
            connection.close()


@asynccontextmanager
async def wired(
    build: Callable[[Transactions], Service], url: str, kafka_bootstrap: str, name: str
) -> AsyncIterator[Wired]:
    """The service that `build` makes: its routes served, its loops running, its consumers fed by hand."""
    await create_topics(kafka_bootstrap, TOPICS, 2)
    pool = await open_pool(url, application_name=f"test {name}", connections=6)
    producer = Producer(kafka_bootstrap, f"test-{name}", name)
    await producer.start()
    outbox = Listening(pool, producer, name, utc_now)
    transactions = Transactions(pool, outbox, utc_now)
    service = build(transactions)
    for start in service.starts:
        await start()
    stopping = asyncio.Event()
    loops = [asyncio.create_task(_run(loop.run, stopping)) for loop in service.loops]
    app = create_app(
        title=service.title,
        description=service.description,
        routers=service.routers,
        readiness=Readiness({}),
        max_body_bytes=MAX_BODY_BYTES,
        line_paths=service.line_paths,
    )
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        yield Wired(url, pool, producer, outbox, transactions, service, server.port)
    finally:
        await server.stop(5)
        stopping.set()
        await asyncio.gather(*loops)
        for stop in service.stops:
            await stop()
        await producer.stop()
        await pool.close()


async def _run(run: Callable[[asyncio.Event], Any], stopping: asyncio.Event) -> None:
    await run(stopping)
