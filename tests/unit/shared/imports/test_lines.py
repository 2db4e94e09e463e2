"""A file as lines, however it was written, compressed or cut."""

import gzip
from pathlib import Path

import pytest

from shared.imports import lines as module
from shared.imports.lines import MAX_LINE_BYTES, Source, Unreadable


def read(path: Path, content: bytes) -> list[bytes | None]:
    path.write_bytes(content)
    with Source(path) as source:
        return list(source.lines())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


def test_the_last_line_needs_no_line_feed(file: Path) -> None:
    assert read(file, b"a\nb\n") == read(file, b"a\nb") == [b"a", b"b"]


def test_an_empty_file_has_one_empty_line(file: Path) -> None:
    assert read(file, b"") == [b""]


def test_a_byte_order_mark_is_no_part_of_the_first_line(file: Path) -> None:
    assert read(file, b"\xef\xbb\xbfa\nb\n") == [b"a", b"b"]


def test_gzip_is_known_by_its_first_bytes_and_may_have_several_members(file: Path) -> None:
    assert read(file, gzip.compress(b"\xef\xbb\xbfa\n") + gzip.compress(b"b\n")) == [b"a", b"b"]


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7])
def test_lines_are_the_same_wherever_blocks_end(
    file: Path, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    assert read(file, b"ab\n\ncde\r\nf") == [b"ab", b"", b"cde\r", b"f"]


@pytest.mark.parametrize("length", [MAX_LINE_BYTES + 1, 3_000_000])
def test_an_absurdly_long_line_is_told_and_the_next_one_read(file: Path, length: int) -> None:
    assert read(file, b"a\n" + b"x" * length + b"\nb\n") == [b"a", None, b"b"]
    assert read(file, b"a\n" + b"x" * length) == [b"a", None]


def test_the_longest_line_is_read(file: Path) -> None:
    longest = b"x" * MAX_LINE_BYTES
    assert read(file, longest + b"\n" + longest) == [longest, longest]


def test_a_gzip_file_that_was_cut_gives_what_it_holds_and_then_says_so(file: Path) -> None:
    whole = gzip.compress(b"".join(b"line %d %d\n" % (n, n * n) for n in range(200_000)), mtime=0)
    file.write_bytes(whole[: len(whole) // 2])
    seen = 0
    with Source(file) as source, pytest.raises(Unreadable, match="broken off or damaged"):
        for _ in source.lines():
            seen += 1
    assert 0 < seen < 200_000


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"nowhere\.csv cannot be read: No such file"):
        Source(tmp_path / "nowhere.csv")
