"""Webhooks as a PSP sends them: signed, retried, bounded; and on bad days: twice, late, forged, never.

Not durable: what was not delivered when the process stops is lost, as webhooks are.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson

from .exchange import SECOND, Document, Event, instant_text

QUEUE_LIMIT: Final = 10_000
SENDERS: Final = 8
TRIES: Final = 6
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 5.0
HEAD_LIMIT: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Destination:
    """Where webhooks go, and the secret both sides know."""

    host: str
    port: int
    target: str
    secret: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to bring: `honest` is False where it must not be believed."""

    body: bytes
    delay_us: int
    honest: bool = True


def destination_of(url: str, secret: bytes) -> Destination:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("a webhook URL looks like http://host:port/path")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.hostname, parts.port or 80, target, secret, url)


def signature(secret: bytes, at_seconds: int, body: bytes) -> str:
    """`t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`."""
    digest = hmac.new(secret, b"%d.%b" % (at_seconds, body), hashlib.sha256).hexdigest()
    return f"t={at_seconds},v1={digest}"


def deliveries(event: Event, id_: str) -> list[Delivery]:
    """What is sent because of an event, its mischief included. A forged message says the opposite."""
    true = Delivery(_event_body(id_, event.type, event.object, event.at), 0)
    match event.mischief:
        case "lost":
            return []
        case "duplicate":
            return [true, true]
        case "late":
            return [Delivery(true.body, event.delay_us)]
        case "forged":
            good = event.type == "payment_intent.succeeded"
            event_type = "payment_intent.canceled" if good else "payment_intent.succeeded"
            claimed = event.object | {"status": "canceled" if good else "succeeded"}
            body = _event_body(f"{id_}f", event_type, claimed, event.at)
            return [Delivery(body, 0, honest=False), true]
        case _:
            return [true]


def _event_body(id_: str, event_type: str, object_: Document, at: int) -> bytes:
    return orjson.dumps(
        {
            "id": id_,
            "object": "event",
            "type": event_type,
            "created_at": instant_text(at),
            "data": {"object": object_},
        }
    )


class WebhookSender:
    """A bounded queue, a few senders with a connection each, and retries with back-off."""

    def __init__(self, loop: asyncio.AbstractEventLoop, salt: str) -> None:
        self.destination: Destination | None = None
        self.counts = {"sent": 0, "delivered": 0, "given_up": 0, "dropped": 0}
        self._loop = loop
        self._salt = salt
        self._issued = 0
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue(QUEUE_LIMIT)
        self._senders: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._senders = [self._loop.create_task(self._send_all()) for _ in range(SENDERS)]

    async def stop(self) -> None:
        for sender in self._senders:
            sender.cancel()
        await asyncio.gather(*self._senders, return_exceptions=True)

    def announce(self, event: Event) -> None:
        self._issued += 1
        for delivery in deliveries(event, f"evt_{self._salt}{self._issued:06x}"):
            if delivery.delay_us:
                self._loop.call_later(delivery.delay_us / SECOND, self._enqueue, delivery)
            else:
                self._enqueue(delivery)

    def _enqueue(self, delivery: Delivery) -> None:
        try:
            self._queue.put_nowait(delivery)
        except asyncio.QueueFull:
            self.counts["dropped"] += 1

    async def _send_all(self) -> None:
        connection = _Connection()
        try:
            while True:
                delivery = await self._queue.get()
                delivered = await self._bring(connection, delivery)
                self.counts["delivered" if delivered else "given_up"] += 1
        finally:
            connection.close()

    async def _bring(self, connection: _Connection, delivery: Delivery) -> bool:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(TRIES):
            destination = self.destination
            if destination is None:
                return False
            if attempt:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            self.counts["sent"] += 1
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    status = await connection.post(destination, delivery)
            except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError):
                connection.close()
                continue
            if status < 300 or not delivery.honest:
                return status < 300
        return False


class _Connection:
    """A keep-alive HTTP/1.1 connection that can do one thing: POST a webhook and read the status."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._where: tuple[str, int] | None = None

    async def post(self, destination: Destination, delivery: Delivery) -> int:
        where = (destination.host, destination.port)
        if self._where != where:
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*where, limit=HEAD_LIMIT)
            self._where = where
        reader, writer = self._streams
        writer.write(_request(destination, delivery))
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        length = headers.get("content-length")
        if (
            length is not None
            and int(length) <= HEAD_LIMIT
            and headers.get("connection", "").lower() != "close"
        ):
            await reader.readexactly(int(length))
        else:
            self.close()
        return int(head[0].split(" ", 2)[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = self._where = None


def _request(destination: Destination, delivery: Delivery) -> bytes:
    # The signature's time is when it is sent: a receiver may refuse old ones.
    at_seconds = int(time.time())
    secret = destination.secret if delivery.honest else b"not the secret"
    head = (
        f"POST {destination.target} HTTP/1.1\r\n"
        f"Host: {destination.host}:{destination.port}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(delivery.body)}\r\n"
        f"Sandbox-Signature: {signature(secret, at_seconds, delivery.body)}\r\n\r\n"
    )
    return head.encode("latin-1") + delivery.body
