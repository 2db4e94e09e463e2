"""Reads record batches also where the name of a header is not UTF-8.

Hazard: aiokafka decodes header names strictly, inside its fetcher. One record with such a name, which any
producer can write, makes every read of its partition raise, for ever and before we see anything. So a batch
that cannot be read is read once more, by aiokafka's own Python reader over bytes that decode leniently.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy as PythonBatch
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.memory_records import _MemoryRecordsPy as PythonRecords

from shared.observability.logging import get_logger

_log = get_logger(__name__)


class Records:
    """What one fetch brought of one partition, batch by batch; stands in for aiokafka's MemoryRecords."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._records = MemoryRecords(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return None if batch is None else _Batch(batch, self._content)


class _Batch:
    """One batch as aiokafka reads it, iterable whatever its headers are called."""

    def __init__(self, batch: Any, content: bytes) -> None:
        self._batch = batch
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            _log.warning("header_name_not_utf_8", base_offset=self._batch.base_offset)
            return self._leniently()

    def __next__(self) -> Any:
        return next(self._batch)

    def _leniently(self) -> Iterator[Any]:
        records = PythonRecords(self._content)
        while (slice_ := records._next_slice) is not None:
            batch = PythonBatch(slice_)
            if batch.base_offset == self._batch.base_offset:
                iter(batch)  # uncompresses
                batch._buffer = _LenientBytes(batch._buffer)
                return iter(list(batch))
            records.next_batch()
        raise AssertionError("unreachable: the batch came from these bytes")


class _LenientBytes(bytearray):
    """Bytes of which every slice decodes: what is not UTF-8 becomes a backslash escape."""

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        return _LenientBytes(part) if isinstance(key, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


def read_any_header_name() -> None:
    """From now on every consumer of this process reads so."""
    fetcher.MemoryRecords = Records
