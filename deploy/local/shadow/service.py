"""One service's HTTP API, to read from: page by page, and again for a while where that may help."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from deploy.local.errors import LocalStackError
from shared.calls.http_client import HttpClient, NotSent, Unanswered, open_client

REQUEST_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 20.0
"""How long one page is asked for again: a restart of the service goes by unnoticed."""

PAUSE_SECONDS: Final = 0.5
MOST_PAGES: Final = 100_000
"""Of one list: twenty million subscriptions. More is a list without an end."""

OTHER_VERSION: Final = "Is it of another version than this command?"
_AS_WHOM: Final = {"recarga-caller": "shadow"}
_LATER: Final = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Service:
    """One service's API, to read from."""

    name: str
    url: str
    client: HttpClient

    async def pages(self, path: str, limit: int) -> AsyncIterator[list[dict[str, Any]]]:
        """The items of a list, page by page."""
        cursor = ""
        for _ in range(MOST_PAGES):
            page = await self.get(f"{path}?limit={limit}{cursor}")
            yield page["items"]
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={page['next_cursor']}"
        raise LocalStackError(f"{self.name} at {self.url} has more than {MOST_PAGES} pages of {path}.")

    async def get(self, path: str, *, may_be_unknown: bool = False) -> Any:
        """What is there; None where it `may_be_unknown` and is.

        Raises:
            LocalStackError: the service refuses, or is not there or too busy for as long as we have patience.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = await self.client.request("GET", path, None, _AS_WHOM)
            except (NotSent, Unanswered) as error:
                why = f"{self.name} at {self.url} does not answer ({error}): is the stack up? make up"
            else:
                if answer.status == 200:
                    return orjson.loads(answer.body)
                if answer.status == 404 and may_be_unknown:
                    return None
                why = f"{self.name} at {self.url} answered {answer.status} to GET {path}. {OTHER_VERSION}"
                if answer.status not in _LATER:
                    raise LocalStackError(why)
            if time.monotonic() + PAUSE_SECONDS > until:
                raise LocalStackError(why)
            await asyncio.sleep(PAUSE_SECONDS)


@asynccontextmanager
async def opened(name: str, url: str) -> AsyncIterator[Service]:
    """The service at that address, over a connection of its own."""
    try:
        client = open_client(url, timeout_seconds=REQUEST_SECONDS, connections=1)
    except ValueError as error:
        raise LocalStackError(f"The address of {name} is wrong: {error}.") from None
    try:
        yield Service(name, url, client)
    finally:
        await client.close()
