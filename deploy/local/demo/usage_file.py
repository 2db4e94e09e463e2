"""A carrier's usage records: read from a CSV file and replayed into Kafka, a day in a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from deploy.local.demo.story import Use
from deploy.local.errors import LocalStackError
from services.usage.usage_csv import BadLine, read_usage_csv
from shared.clock import utc_now
from shared.contracts.usage_records import UsageRecorded
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer

MAX_ICCIDS: Final = 20_000
MAX_RECORDS: Final = 2_000_000
BAD_LINES_SHOWN: Final = 5
SLICE_RECORDS: Final = 2_000
SLICES_PER_SECOND: Final = 10


@dataclass(slots=True)
class Contents:
    """What a file holds. `distinct` leaves out what is delivered again."""

    lines: int = 0
    distinct: int = 0
    use: dict[str, Use] = field(default_factory=dict)
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    bad: list[BadLine] = field(default_factory=list)
    bad_lines: int = 0

    @property
    def again(self) -> int:
        return self.lines - self.distinct


def read_records(path: Path) -> Iterator[UsageRecorded | BadLine]:
    """Every line of the file. Raises LocalStackError where it cannot be opened or is no text."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from read_usage_csv(file)
    except (OSError, UnicodeDecodeError) as error:
        raise LocalStackError(f"The usage file {path} cannot be read: {error}") from error


def survey(path: Path) -> Contents:
    """Reads the whole file once. Raises LocalStackError where it is empty, or too large. Blocking."""
    contents = Contents()
    seen: set[tuple[str, str]] = set()
    for line in read_records(path):
        if isinstance(line, BadLine):
            contents.bad_lines += 1
            if len(contents.bad) < BAD_LINES_SHOWN:
                contents.bad.append(line)
            continue
        _add(contents, line, is_new=(line.source, line.record_id) not in seen)
        seen.add((line.source, line.record_id))
        if contents.lines > MAX_RECORDS or len(contents.use) > MAX_ICCIDS:
            raise LocalStackError(
                f"{path} is too large for the demo, which takes {MAX_RECORDS:,} records of "
                f"{MAX_ICCIDS:,} ICCIDs. Cut it into days or regions."
            )
    contents.distinct = len(seen)
    if not contents.lines:
        why = f" Line {contents.bad[0].line}: {contents.bad[0].why}" if contents.bad else ""
        raise LocalStackError(f"There is no usage record in {path}.{why} Its form is in docs/usage-csv.md.")
    return contents


def _add(contents: Contents, record: UsageRecorded, *, is_new: bool) -> None:
    contents.lines += 1
    before = contents.use.get(record.iccid, Use(0, None))
    size = record.bytes_up + record.bytes_down if is_new else 0
    contents.use[record.iccid] = Use(before.used_bytes + size, before.imei or record.imei)
    if contents.begins_at is None or record.ended_at < contents.begins_at:
        contents.begins_at = record.ended_at
    if contents.ends_at is None or record.ended_at > contents.ends_at:
        contents.ends_at = record.ended_at


@dataclass(slots=True)
class Replay:
    """How far a replay is: what was published, and what time it is in the file."""

    published: int = 0
    clock: datetime | None = None
    is_over: bool = False


async def replay(path: Path, contents: Contents, bootstrap: str, seconds: float, progress: Replay) -> None:
    """Publishes every record in the file's order, spread over `seconds` by the time at which each ended.

    Faster than the file's pace never; slower where Kafka cannot keep up.
    """
    producer = Producer(bootstrap, "demo-usage", "demo")
    await producer.start()
    try:
        pace = _Pace(contents, seconds)
        batch: list[UsageRecorded] = []
        for line in read_records(path):
            if isinstance(line, BadLine):
                continue
            if batch and (len(batch) == SLICE_RECORDS or pace.slice_of(line) > pace.slice_of(batch[0])):
                await _publish(producer, batch, pace, progress)
                batch = []
            batch.append(line)
        if batch:
            await _publish(producer, batch, pace, progress)
    finally:
        await producer.stop()
    progress.is_over = True


async def _publish(producer: Producer, batch: list[UsageRecorded], pace: _Pace, progress: Replay) -> None:
    await pace.wait_for(batch[0])
    await producer.publish([enclose(record, None) for record in batch], utc_now())
    progress.published += len(batch)
    latest = max(record.ended_at for record in batch)
    progress.clock = max(progress.clock or latest, latest)  # what is delivered again turns no clock back


class _Pace:
    """When each record of the file is due, in seconds of this machine since the replay began."""

    def __init__(self, contents: Contents, seconds: float) -> None:
        self._begins_at = contents.begins_at
        span = (
            (contents.ends_at - contents.begins_at).total_seconds()
            if contents.begins_at is not None and contents.ends_at is not None
            else 0.0
        )
        self._speed = span / seconds if span and seconds else 0.0
        self._began = time.monotonic()

    def due(self, record: UsageRecorded) -> float:
        if self._begins_at is None or not self._speed:
            return 0.0
        return (record.ended_at - self._begins_at).total_seconds() / self._speed

    def slice_of(self, record: UsageRecorded) -> int:
        return int(self.due(record) * SLICES_PER_SECOND)

    async def wait_for(self, record: UsageRecorded) -> None:
        left = self._began + self.due(record) - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
