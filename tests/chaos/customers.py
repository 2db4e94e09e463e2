"""People who ask for renewals over HTTP, as careful clients do: the same key until somebody answers.

What they were told is kept: an acknowledged renewal must have ended when all is quiet again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import cycle
from random import Random
from typing import Any, Final

from shared.calls.http_client import HttpAnswer, HttpClient, NotSent, Unanswered, open_client
from tests.acceptance.office import Office
from tests.acceptance.subscribers import CALLER, Subscriber
from tests.chaos.waiting import for_time

ANSWER_SECONDS: Final = 5.0
GIVE_UP_SECONDS: Final = 150.0
"""Longer than any outage that the schedule knows, also two after each other."""
BANK_SECONDS: Final = 20.0
PAUSE_SECONDS: Final = 0.2
CONNECTIONS: Final = 64
ASKS_TWICE_SHARE: Final = 0.2
CANCELS_SHARE: Final = 0.12
CONFIRMS_SHARE: Final = 0.6
_REFUSED: Final = frozenset({"slot-taken"})
Json = dict[str, Any]


class Customers:
    """All of them. `problems` holds what an HTTP client must never see."""

    def __init__(self, office: Office, clients: Mapping[str, HttpClient], psp: HttpClient) -> None:
        self.acknowledged: dict[str, str] = {}
        """Renewal id by the key of the request."""
        self.answers: Counter[str] = Counter()
        self.problems: list[str] = []
        self._office = office
        self._clients = clients
        self._psp = psp

    @classmethod
    @asynccontextmanager
    async def calling(cls, office: Office) -> AsyncIterator[Customers]:
        """With a connection pool to every process of renewal, and to the bank's page at the PSP."""
        stack = office.stack
        urls = {name: stack.service_url(name) for name in stack.instances if name.startswith("renewal-")}
        clients = {name: _client(url) for name, url in urls.items()}
        psp = _client(stack.psp_url)
        try:
            yield cls(office, clients, psp)
        finally:
            for client in (*clients.values(), psp):
                await client.close()

    async def ask(self, subscriber: Subscriber, key: str, random: Random) -> None:
        """One customer's way: asks, perhaps twice, perhaps calls it off, perhaps confirms at the bank."""
        whims = [random.random() for _ in range(3)]
        wait_seconds = random.uniform(0.0, 1.5)
        renewal_id = await self._acknowledged(subscriber, key)
        if renewal_id is None:
            return
        if whims[0] < ASKS_TWICE_SHARE:
            again = await self._acknowledged(subscriber, key)
            if again != renewal_id:
                self.problems.append(f"the request {key} was renewal {renewal_id}, then {again}")
        if whims[1] < CANCELS_SHARE:
            await for_time(wait_seconds)
            await self._cancel(renewal_id, key)
        elif "sca" in subscriber.cards and whims[2] < CONFIRMS_SHARE:
            await self._confirm(renewal_id)

    async def _acknowledged(self, subscriber: Subscriber, key: str) -> str | None:
        answer = await self._insist("POST", "/v1/renewals", subscriber.wish(), key)
        if answer is None:
            return None
        body = json.loads(answer.body)
        if answer.status in (200, 202):
            self.answers["accepted" if answer.status == 202 else "known"] += 1
            self.acknowledged[key] = body["renewal_id"]
            return str(body["renewal_id"])
        problem = str(body.get("type", "")).rpartition(":")[2]
        self.answers[problem] += 1
        if problem not in _REFUSED:
            self.problems.append(f"the request {key} was answered {answer.status}: {answer.body[:300]!r}")
        return None

    async def _cancel(self, renewal_id: str, key: str) -> None:
        """Accepted, or too late: but never unknown, it was acknowledged."""
        answer = await self._insist("POST", f"/v1/renewals/{renewal_id}/cancel", None, f"cancel-{key}")
        if answer is not None:
            self.answers["cancelled" if answer.status == 202 else "too late to cancel"] += 1
            if answer.status not in (202, 409):
                self.problems.append(f"calling off {renewal_id} was answered {answer.status}")

    async def _insist(self, method: str, path: str, body: Json | None, key: str) -> HttpAnswer | None:
        """The first answer that says something, from whichever process."""
        deadline = time.monotonic() + GIVE_UP_SECONDS
        headers = {"idempotency-key": key, "recarga-caller": CALLER}
        content = None if body is None else json.dumps(body).encode()
        last = "nothing"
        for client in cycle(self._clients.values()):
            try:
                answer = await client.request(method, path, content, headers)
            except (NotSent, Unanswered) as error:
                last = str(error)
            else:
                if answer.status < 500 and answer.status not in (408, 429):
                    return answer
                last = f"{answer.status} {answer.body[:200]!r}"
            if time.monotonic() > deadline:
                self.problems.append(f"nobody answered the request {key} in {GIVE_UP_SECONDS:g} s: {last}")
                return None
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError("there is no process to ask")

    async def _confirm(self, renewal_id: str) -> None:
        """At the bank's page, as soon as it asks; a payer who is not asked in time has gone away."""
        deadline = time.monotonic() + BANK_SECONDS
        while time.monotonic() < deadline:
            try:
                listed = await self._psp.request("GET", f"/v1/payment_intents?renewal_id={renewal_id}")
                for intent in json.loads(listed.body).get("data", []) if listed.status == 200 else []:
                    if intent["status"] == "requires_action":
                        path = f"/v1/payment_intents/{intent['id']}/authenticate"
                        await self._psp.request("POST", path, b'{"outcome": "succeeded"}')
                        self.answers["confirmed at the bank"] += 1
                        return
            except (NotSent, Unanswered, ValueError):
                pass  # the PSP stands still, or lies to the payer, too
            await asyncio.sleep(PAUSE_SECONDS)


def _client(url: str) -> HttpClient:
    return open_client(url, timeout_seconds=ANSWER_SECONDS, connections=CONNECTIONS)
