"""A server with its clock, journal, timers and webhooks: everything impure around a gateway.

Answers what needs them (/journal, /health, /webhook) and passes the rest to the gateway.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

import orjson

from . import fields
from .exchange import SECOND, Document, Refusal, Reply, Request, error_reply, json_reply
from .gateway import Gateway, query_fields
from .http_server import Connection, Listener
from .journal import PAGE_LIMIT, Journal
from .restore import restore
from .state import NEVER
from .webhooks import WebhookSender, destination_of

LONGEST_TIMER_SECONDS: Final = 3_600.0
BANK_PAGE: Final = "/authenticate"
"""Asked by the payer's browser: the answer tells the merchant nothing."""


def wall_clock() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


def _tells(reply: Reply) -> bool:
    """Whether the client learns the outcome from this reply: it is sent at once, and can be read."""
    return not reply.hold_us and reply.status < 500 and reply.body.startswith(b"{")


class Application:
    """One sandbox server, ready to be bound to a socket. Restores itself from its journal when made."""

    def __init__(
        self,
        gateway: Gateway,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], int] = wall_clock,
    ) -> None:
        self.gateway = gateway
        self.journal = journal
        self.restored_rows = restore(gateway, journal)
        self.listener = Listener(loop, self.answer, self._flush)
        self.webhooks = WebhookSender(loop, gateway.state.salt)
        self.only_untold = False
        """Whether webhooks tell only what no answer to a request has told."""
        self._loop = loop
        self._clock = clock
        self._now = journal.last_at
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._watch_due()

    def now(self) -> int:
        """Never earlier than before: a journal whose instants run backwards could not be replayed."""
        self._now = max(self._clock(), self._now)
        return self._now

    def protocol(self) -> Connection:
        return Connection(self.listener)

    def answer(self, method: str, target: str, key: str | None, body: bytes) -> Reply:
        if not target.startswith("/v1/"):
            try:
                own = self._own(method, target, body)
            except Refusal as refusal:
                own = refusal.reply()
            if own is not None:
                return own
        now = self._clock()
        if now < self._now:
            now = self._now  # as in now()
        self._now = now
        gateway = self.gateway
        state = gateway.state
        if self._timer_at <= now:
            self._advance(now)
        request = Request(method, target, key, body)
        outcome = gateway.answer(request, now)
        journal = self.journal
        journal.note_request(request, outcome, now)
        if state.effects:
            for effect in gateway.taken_effects():
                journal.note_effect(effect)
        if state.events:
            self._announce(told=_tells(outcome.reply) and not target.endswith(BANK_PAGE))
        if state.due and state.due[0][0] < self._timer_at:
            self._watch_due()
        return outcome.reply

    def set_keys_remembered_seconds(self, seconds: int) -> None:
        """Through the front door, so that the journal knows: replaying must forget at the same instants."""
        if self.gateway.state.capabilities.keys_remembered_seconds != seconds:
            self.answer("PUT", "/capabilities", None, orjson.dumps({"keys_remembered_seconds": seconds}))
            self.journal.flush()

    def set_webhook(self, url: str | None, secret: bytes) -> None:
        self.webhooks.destination = None if url is None else destination_of(url, secret)
        self.gateway.state.events_wanted = url is not None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.listener.close()
        self.journal.close()

    # what the gateway does not know about

    def _own(self, method: str, target: str, body: bytes) -> Reply | None:
        path, _, query_text = target.partition("?")
        match (method, path):
            case ("GET", "/health"):
                return json_reply(
                    200,
                    {
                        "status": "ok",
                        "server": self.gateway.state.server,
                        "sequence": self.journal.sequence,
                        "restored_rows": self.restored_rows,
                    },
                )
            case ("GET", "/journal"):
                return self._journal_page(query_text)
            case ("GET" | "PUT" | "DELETE", "/webhook") if self.gateway.state.server == "psp":
                return self._webhook(method, body)
            case _:
                return None

    def _journal_page(self, query_text: str) -> Reply:
        query = query_fields(query_text) if query_text else {}
        after = fields.query_integer(query, "after", default=0, least=0, most=fields.LARGEST_INTEGER)
        limit = fields.page_limit(query, default=1_000, most=PAGE_LIMIT)
        kind = query.get("kind")
        if kind is not None:
            fields.choice(query, "kind", ("request", "effect"))
        form = fields.choice({"format": query.get("format", "json")}, "format", ("json", "ndjson"))
        page = self.journal.page(after, limit, kind)
        if form == "ndjson":
            body = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in page.rows)
            following = page.next_after if page.more else None
            return Reply(200, body, content_type=b"application/x-ndjson", next_after=following)
        return json_reply(200, {"rows": page.rows, "next_after": page.next_after, "more": page.more})

    def _webhook(self, method: str, body: bytes) -> Reply:
        if method == "DELETE":
            self.set_webhook(None, b"")
        elif method == "PUT":
            try:
                document = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise Refusal(400, "json_invalid", f"The body is not JSON: {error}.") from None
            if type(document) is not dict:
                raise Refusal(400, "json_invalid", "The body must be a JSON object.")
            try:
                self.set_webhook(fields.text(document, "url"), fields.text(document, "secret").encode())
            except ValueError:
                return error_reply(400, "parameter_invalid", "`url` must look like http://host:port/path.")
        destination = self.webhooks.destination
        url: Document = {"url": None if destination is None else destination.url}
        return json_reply(200, url | self.webhooks.counts)

    # time

    def _watch_due(self) -> None:
        """One timer, for whatever falls due first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = self.gateway.state.next_due()
        if self._timer_at < NEVER:
            wait = max(0.0, (self._timer_at - self._clock()) / SECOND)
            self._timer = self._loop.call_later(min(wait, LONGEST_TIMER_SECONDS), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._advance(self.now())
        self._flush()

    def _advance(self, now: int) -> None:
        for effect in self.gateway.advance(now):
            self.journal.note_effect(effect)
        if self.gateway.state.events:
            self._announce()
        self._watch_due()

    def _announce(self, told: bool = False) -> None:
        for event in self.gateway.taken_events():
            if event.mischief or not (told and self.only_untold):
                self.webhooks.announce(event)

    def _flush(self) -> None:
        try:
            self.journal.flush()
        except OSError as error:
            # Nothing of this tick may be answered, and half a row may be on disk: a restart mends that.
            os.write(2, f"{self.journal.path} cannot be written: {error}. Stopping.\n".encode())
            os._exit(1)
