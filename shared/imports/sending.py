"""A chunk's rows to the service, again while that may help: repeating what was taken changes nothing."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from shared.calls.http_client import HttpAnswer, HttpClient, NotSent, Unanswered
from shared.imports.dialects import Refused, Taken, Unexpected, dialect_of
from shared.imports.kinds import Kind
from shared.imports.reading import Row

REQUEST_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 120.0
"""How long one chunk is tried: a restart of the service goes by unnoticed."""

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
LONGEST_RETRY_AFTER_SECONDS: Final = 60.0
MAX_BODY_BYTES: Final = 3 * 1024 * 1024
"""Less than a service takes."""

_AS_WHOM: Final = {"recarga-caller": "import"}
_LATER: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
"""The whole request may succeed another time. 409: two writers met; what really conflicts is told by item."""


class NotTaken(Exception):
    """The service took nothing of the chunk, and will not: the import cannot go on. The message says why."""


class Sender:
    """Sends chunks of one kind over one client."""

    def __init__(self, kind: Kind, client: HttpClient, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._kind = kind
        self._client = client
        self._patience_seconds = patience_seconds
        self._dialect = dialect_of(kind)
        self._headers = {**_AS_WHOM, "content-type": self._dialect.media_type}

    async def send(self, rows: Sequence[Row]) -> Taken:
        """What the service refused of these rows; it has the others then.

        Raises:
            NotTaken: there is no service, or it does not take such things.
        """
        until = time.monotonic() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        refused: list[Refused] = []
        noted: Counter[str] = Counter()
        while rows:
            told = await self._once(rows, until)
            is_last = time.monotonic() + pause > until
            noted += told.noted
            refused += [each for each in told.refused if is_last or not each.is_early]
            rows = [] if is_last else [each.row for each in told.refused if each.is_early]
            if rows:
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)
        return Taken(refused, noted)

    async def _once(self, rows: Sequence[Row], until: float) -> Taken:
        body = self._dialect.body(rows)
        if len(body) > MAX_BODY_BYTES and len(rows) > 1:
            middle = len(rows) // 2
            first, second = await self._once(rows[:middle], until), await self._once(rows[middle:], until)
            return Taken(first.refused + second.refused, first.noted + second.noted)
        try:
            return self._dialect.told(await self._answer(body, until), rows)
        except Unexpected as error:
            raise NotTaken(str(error)) from None

    async def _answer(self, body: bytes, until: float) -> HttpAnswer:
        pause = FIRST_PAUSE_SECONDS
        while True:
            wait, why = pause, ""
            try:
                answer = await self._client.request("POST", self._kind.path, body, self._headers)
            except (NotSent, Unanswered) as error:
                why = f"{self._kind.service} does not answer ({error}). Is it up, at that address?"
            else:
                if answer.status < 300:
                    return answer
                why = f"{self._kind.service} answered {answer.status}: {_told(answer)}"
                if answer.status not in _LATER:
                    raise NotTaken(why)
                wait = max(pause, _retry_after(answer.headers))
            if time.monotonic() + wait > until:
                raise NotTaken(why)
            await asyncio.sleep(wait * random.uniform(1.0, 1.25))
            pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)


def _told(answer: HttpAnswer) -> str:
    """A problem document in one line; of anything else no more than that it was none."""
    try:
        problem = orjson.loads(answer.body)
        return str(problem["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no reason was given. Is this the right service?"


def _retry_after(headers: Mapping[str, str]) -> float:
    told = headers.get("retry-after", "")
    return min(LONGEST_RETRY_AFTER_SECONDS, float(told)) if told.isdecimal() else 0.0
