"""One import from its first line to its last: sends several chunks at once, counts them in their order."""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

from shared.imports.dialects import Taken
from shared.imports.lines import Source, Unreadable
from shared.imports.reading import Chunk, Reader, Refusal
from shared.imports.report import Report
from shared.imports.resuming import Changed, Standing, keep_standing
from shared.imports.sending import Sender

KEEP_EVERY_SECONDS: Final = 1.0

Ending = Literal["done", "stopped"]
Told = Callable[[Standing, Source], None]
"""Hears how far it is, after every chunk."""


class Import:
    """An import under way. `sender` None only judges the lines."""

    def __init__(
        self,
        reader: Reader,
        source: Source,
        sender: Sender | None,
        report: Report,
        standing: Standing,
        keep_at: Path | None,
        tell: Told,
    ) -> None:
        self.standing = standing
        self._reader = reader
        self._source = source
        self._sender = sender
        self._report = report
        self._keep_at = keep_at
        self._tell = tell
        self._kept_at = -math.inf
        self._under_way: deque[tuple[Chunk, asyncio.Task[Taken]]] = deque()

    async def run(self, stopping: asyncio.Event) -> Ending:
        """To the end, or until `stopping`: then what is under way is finished first. Resumable in any case.

        Raises:
            NotTaken, Unreadable, BadHeader: it cannot go on; what was counted so far is kept.
            Changed: what was counted the last time is not in the file any more.
        """
        ending: Ending = "done"
        try:
            for chunk in self._to_be_done():
                if chunk is not None:
                    self._under_way.append((chunk, asyncio.create_task(self._send(chunk))))
                while len(self._under_way) >= self._reader.kind.in_flight:
                    await self._count_oldest()
                # Tasks and signals come to their turn even where nothing is waited for.
                await asyncio.sleep(0)
                if stopping.is_set():
                    ending = "stopped"
                    break
            await self._count_all()
        except Unreadable:
            await self._count_all()
            raise
        finally:
            await self._call_off()
            self._keep()
        return ending

    def _to_be_done(self) -> Iterator[Chunk | None]:
        """The chunks that are not counted yet. For each of the others, which are read again because they may
        hold keys of these, None."""
        done = self.standing.last_line
        counted = done <= 1
        for chunk in self._reader.chunks():
            if counted:
                yield chunk
            elif chunk.last_line >= done:
                if (chunk.last_line, chunk.digest) != (done, self.standing.digest):
                    break
                counted = True
                yield None
            else:
                yield None
        if not counted:
            raise Changed(f"The file has changed within the {done - 1:,} lines that were done already.")

    async def _send(self, chunk: Chunk) -> Taken:
        return Taken([], Counter()) if self._sender is None else await self._sender.send(chunk.rows)

    async def _count_all(self) -> None:
        while self._under_way:
            await self._count_oldest()

    async def _count_oldest(self) -> None:
        """In the order of the file, so that one number says what is done."""
        chunk, task = self._under_way[0]
        refused, noted = await task
        self._under_way.popleft()
        told = [
            Refusal(each.row.line, column, why, self._reader.shown(each.row))
            for each in refused
            for column, why in each.faults
        ]
        refusals = sorted(chunk.refusals + told)
        self._report.add(refusals)
        standing = self.standing
        standing.last_line, standing.digest = chunk.last_line, chunk.digest
        standing.taken += len(chunk.rows) - len(refused)
        standing.refused += len({refusal.line for refusal in refusals})
        standing.forbidden += chunk.forbidden
        for what, count in noted.items():
            standing.noted[what] = standing.noted.get(what, 0) + count
        if time.monotonic() - self._kept_at >= KEEP_EVERY_SECONDS:
            self._keep()
        self._tell(standing, self._source)

    def _keep(self) -> None:
        """The report first: it may be longer than the standing knows, never shorter."""
        self.standing.report_bytes = self._report.keep()
        if self._keep_at is not None:
            keep_standing(self._keep_at, self.standing)
        self._kept_at = time.monotonic()

    async def _call_off(self) -> None:
        tasks = [task for _, task in self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
