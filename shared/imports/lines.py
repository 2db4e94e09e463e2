"""A file as lines of bytes: plain or gzip, read in blocks, never more than a block and a line in memory."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

MAX_LINE_BYTES: Final = 4_000
_BLOCK_BYTES: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Unreadable(Exception):
    """The file cannot be read, or not further; the message says why in one sentence."""


class Source:
    """An open file. `position` of `size` bytes have been read of it as it lies on the disk."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
            self.size = path.stat().st_size
            is_gzip = self._file.read(len(_GZIP)) == _GZIP
            self._file.seek(0)
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
        self._stream = gzip.GzipFile(fileobj=self._file) if is_gzip else self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def position(self) -> int:
        return self._file.tell()

    def lines(self) -> Iterator[bytes | None]:
        """Every line without its line feed, the first without a byte order mark; None for one too long.

        Raises:
            Unreadable: the disk fails, or the gzip stream is broken off or damaged.
        """
        lines = self._lines()
        first = next(lines, b"")
        yield first if first is None else first.removeprefix(_BYTE_ORDER_MARK)
        yield from lines

    def _lines(self) -> Iterator[bytes | None]:
        rest, is_too_long = b"", False
        for block in self._blocks():
            *complete, rest = (rest + block).split(b"\n")
            for line in complete:
                yield None if is_too_long or len(line) > MAX_LINE_BYTES else line
                is_too_long = False
            if len(rest) > MAX_LINE_BYTES:
                rest, is_too_long = b"", True
        if rest or is_too_long:
            yield None if is_too_long else rest

    def _blocks(self) -> Iterator[bytes]:
        try:
            # read1: `read` would forget what it has when the stream turns out to be damaged further on.
            while block := self._stream.read1(_BLOCK_BYTES):
                yield block
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(f"The file is broken off or damaged: {error}.") from error
