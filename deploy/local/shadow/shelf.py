"""The files of a month on a shelf: a database in a temporary folder, read subscription by subscription.

However long the files are, memory holds one chunk of lines, or one subscription's month.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from services.usage.domain.records import record_key
from shared.contracts.usage_records import UsageRecorded
from shared.database.queries import load_queries

SQL = load_queries(__file__, "shelf.sql")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Use(NamedTuple):
    """Bytes that flowed from one instant to another."""

    started_at: datetime
    ended_at: datetime
    size: int
    imei: str | None


class Charged(NamedTuple):
    """What they charged."""

    at: datetime
    amount_minor: int
    currency: str
    offering_id: str


class Shelf:
    """Everything that was read; closed at the end."""

    def __init__(self, folder: Path) -> None:
        self._rows = sqlite3.connect(folder / "month.sqlite", isolation_level=None)
        self._rows.executescript(SQL["tables"])
        self._rows.execute("begin")
        self.has_methods = False
        """Whether any payment method was given."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()

    def put(self, statement: str, rows: Iterable[Sequence[Any]]) -> int:
        """Add rows; how many of them were new."""
        self.has_methods = self.has_methods or statement == "put_method"
        return self._rows.executemany(SQL[statement], rows).rowcount

    def put_records(self, records: Iterable[UsageRecorded]) -> int:
        """Add usage records; those that repeat one are not new."""
        return self.put("put_record", map(_record_row, records))

    def complete(self) -> None:
        """All files were read."""
        self._rows.execute(SQL["settle_charges"])
        self._rows.executescript(SQL["indexes"])

    def subscriptions(self) -> Iterator[tuple[str, bytes]]:
        yield from self._rows.execute(SQL["subscriptions"])

    def one(self, statement: str, *asked: str) -> Any:
        """The first column of the only row; None where there is none."""
        row = self._rows.execute(SQL[statement], asked).fetchone()
        return None if row is None else row[0]

    def buckets_of(self, subscription_id: str) -> list[bytes]:
        return [row[0] for row in self._rows.execute(SQL["buckets_of"], (subscription_id,))]

    def records_of(self, iccid: str) -> list[Use]:
        rows = self._rows.execute(SQL["records_of"], (iccid,))
        return [Use(instant(began), instant(ended), size, imei) for began, ended, size, imei in rows]

    def charges_of(self, subscription_id: str) -> list[Charged]:
        rows = self._rows.execute(SQL["charges_of"], (subscription_id,))
        return [Charged(instant(at), *others) for at, *others in rows]

    def charges_of_nobody(self) -> Iterator[tuple[str, Charged]]:
        for named, at, *others in self._rows.execute(SQL["charges_of_nobody"]):
            yield named, Charged(instant(at), *others)

    def records_of_nobody(self) -> int:
        return int(self.one("records_of_nobody"))

    def span(self) -> tuple[datetime, datetime]:
        """The first and the last instant; both 1970 where there is nothing."""
        began, ended = self._rows.execute(SQL["span"]).fetchone()
        return instant(began or 0), instant(ended or 0)


def _record_row(record: UsageRecorded) -> tuple[Any, ...]:
    key = record_key(record)
    size = record.bytes_up + record.bytes_down
    times = (microseconds(record.started_at), microseconds(record.ended_at))
    return (key.source, key.record_id, key.ended_on.isoformat(), record.iccid, *times, size, record.imei)


def microseconds(at: datetime) -> int:
    """Since 1970: what sorts as it should, and is exact."""
    return (at - _EPOCH) // _MICROSECOND


def instant(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND
