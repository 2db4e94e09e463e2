"""Waiting until something answers, without waiting on when it has already died."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from deploy.local.children import Child
from deploy.local.errors import ChildDied, NotReady

POLL_SECONDS = 0.05
ANSWER_TIMEOUT_SECONDS = 2.0
Check = Callable[[], Awaitable[bool]]


async def wait_until(check: Check, what: str, deadline_seconds: float) -> None:
    """Asks again and again. Raises NotReady after the deadline."""
    until = time.monotonic() + deadline_seconds
    while not await check():
        if time.monotonic() > until:
            raise NotReady(f"{what} was not ready after {deadline_seconds:g} s.")
        await asyncio.sleep(POLL_SECONDS)


async def wait_until_ready(child: Child, check: Check, deadline_seconds: float) -> None:
    """Raises ChildDied as soon as the process ends, NotReady after the deadline, with the end of its log."""
    waiting = asyncio.ensure_future(wait_until(check, child.name, deadline_seconds))
    ended = asyncio.ensure_future(child.ended())
    try:
        await asyncio.wait({waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and not (waiting.done() and waiting.exception() is None):
            raise ChildDied(death_notice(child))
        try:
            await waiting
        except NotReady as error:
            raise NotReady(f"{error} The end of {child.log}:\n{child.last_lines()}") from None
    finally:
        waiting.cancel()
        ended.cancel()
        await asyncio.gather(waiting, ended, return_exceptions=True)


def death_notice(child: Child) -> str:
    """What is told about a process that ended by itself."""
    code = child.popen.returncode
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
    return f"{child.name} {how}. The end of {child.log}:\n{child.last_lines()}"


async def http_ready(url: str) -> bool:
    """Whether a GET is answered with status 200.

    One request per connection: it is a question, not a client.
    """
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                request = (
                    f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
                )
                writer.write(request.encode())
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return status_line.split(b" ", 2)[1:2] == [b"200"]
