"""An import as people start it: a process of its own against a service that is at work."""

import asyncio
import csv
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.home import REPOSITORY
from tests.integration.wired import Wired

DEADLINE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command said, and its exit status."""

    status: int
    said: str


@dataclass(frozen=True, slots=True)
class Importing:
    """The imports of one file by one module."""

    module: str
    service: Wired
    file: Path

    @property
    def report(self) -> Path:
        return self.file.with_name(self.file.name + ".report.csv")

    @property
    def standing(self) -> Path:
        return self.report.with_name(self.report.name + ".resume")

    def write(self, header: str, *lines: str) -> None:
        self.file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")

    def refused(self) -> list[tuple[int, str, str]]:
        """(line, column, why) of everything in the report."""
        with self.report.open(newline="", encoding="utf-8") as file:
            return [(int(row["line"]), row["column"], row["why"]) for row in csv.DictReader(file)]

    async def run(self, *options: str) -> Ended:
        async with self.under_way(*options) as process:
            return await ended(process)

    @asynccontextmanager
    async def under_way(self, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The process; killed at the end if it still runs."""
        process = await asyncio.create_subprocess_exec(
            *self._command(options),
            cwd=REPOSITORY,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _command(self, options: Sequence[str]) -> list[str]:
        url = f"http://127.0.0.1:{self.service.port}"
        return [sys.executable, "-m", self.module, str(self.file), "--url", url, *options]


async def ended(process: asyncio.subprocess.Process) -> Ended:
    """Waits for its end."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, said.decode())
