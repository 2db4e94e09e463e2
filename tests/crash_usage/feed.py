"""The raw file goes in both ways: most slices over Kafka, some over HTTP, again until a line is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from services.usage.usage_csv import BadLine, read_usage_csv
from shared.contracts.usage_records import UsageRecorded
from tests.acceptance.http_caller import send
from tests.acceptance.office import NotInTime, Office

SLICE_RECORDS: Final = 1_000
EVERY_NTH_OVER_HTTP: Final = 8
HTTP_SECONDS: Final = 120.0
RETRY_SECONDS: Final = 0.1
NDJSON: Final = {"content-type": "application/x-ndjson"}
DONE: Final = frozenset({"counted", "duplicate"})


@dataclass(slots=True)
class Feed:
    """How far it is. `per_second` None: as fast as Kafka takes it."""

    office: Office
    path: Path
    per_second: float | None = None
    fed: int = 0
    over_http: int = 0
    sent_again: int = 0

    async def run(self) -> None:
        """From the first line to the last."""
        began = time.monotonic()
        for number, records in enumerate(_slices(self.path), start=1):
            if number % EVERY_NTH_OVER_HTTP:
                await self.office.say(*records)
            else:
                await self._post(records)
            self.fed += len(records)
            while self.per_second and self.fed > (time.monotonic() - began) * self.per_second:
                await asyncio.sleep(0.01)

    async def _post(self, records: Sequence[UsageRecorded]) -> None:
        """As a careful client does: whatever was not answered is sent again, to whichever process answers."""
        deadline = time.monotonic() + HTTP_SECONDS
        self.over_http += len(records)
        for process in cycle(["usage-1", "usage-2"]):
            body = b"".join(record.model_dump_json().encode() + b"\n" for record in records)
            url = self.office.stack.service_url(process)
            try:
                reply = await send(url, "POST", "/v1/usage-records", body, NDJSON)
            except (OSError, HTTPException):
                reply = None
            if reply is not None and reply.status == 200:
                answers = [line.partition(b'"result":"')[2] for line in reply.content.splitlines()]
                records = [
                    record
                    for record, answer in zip(records, answers, strict=True)
                    if answer.partition(b'"')[0].decode() not in DONE
                ]
                if not records:
                    return
            self.sent_again += len(records)
            if time.monotonic() > deadline:
                raise NotInTime(f"{len(records)} records were not taken over HTTP: {reply}")
            await asyncio.sleep(RETRY_SECONDS)


def _slices(path: Path) -> Iterator[list[UsageRecorded]]:
    with path.open(encoding="utf-8") as file:
        lines = read_usage_csv(file)
        while some := list(islice(lines, SLICE_RECORDS)):
            records = [each for each in some if not isinstance(each, BadLine)]
            assert len(records) == len(some), "the raw file has a line that is none"
            yield records
