"""The deliberate defects, as data: `defects/<part>.toml`, one table each.

A defect replaces a text that must stand exactly once in its file. Where the source has changed it fails
loudly instead of silently not applying: then the list is brought up to date.
"""

import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

LIST: Final = Path(__file__).parent / "defects"
_SECOND: Final = 1_000_000_000
_WRITES: Final = count(2)
ROOT: Final = Path(__file__).parents[2]


class DoesNotApply(Exception):
    """The text that a defect replaces does not stand exactly once in its file."""


class Edit(NamedTuple):
    """One replacement."""

    old: str
    new: str


class Defect(NamedTuple):
    """One deliberate defect. `promise` counts as in section 5 of docs/DESIGN.md."""

    name: str
    promise: int
    breaks: str
    """What then happens to somebody, in a sentence."""
    file: str
    edits: tuple[Edit, ...]

    def applied_to(self, text: str) -> str:
        """The file's text with the defect in it.

        Raises:
            DoesNotApply: a text to be replaced does not stand there exactly once.
        """
        for old, new in self.edits:
            times = text.count(old)
            if times != 1:
                raise DoesNotApply(
                    f"{self.name}: what it replaces stands {times} times in {self.file}:\n{old}"
                )
            text = text.replace(old, new)
        return text


@cache
def listed() -> tuple[Defect, ...]:
    """Every deliberate defect, file by file."""
    found: list[Defect] = []
    for part in sorted(LIST.glob("*.toml")):
        for table in tomllib.loads(part.read_text(encoding="utf-8"))["defect"]:
            edits = [Edit(table["old"], table["new"])]
            if "also" in table:
                edits.append(Edit(table["also"]["old"], table["also"]["new"]))
            found.append(
                Defect(table["name"], table["promise"], table["breaks"], table["file"], tuple(edits))
            )
    return tuple(found)


@contextmanager
def defective(defect: Defect, tree: Path) -> Iterator[None]:
    """A private copy of the tree with the defect in it; as it was afterwards.

    Raises:
        DoesNotApply: see `Defect.applied_to`. The file is untouched then.
    """
    path = tree / defect.file
    before, times = path.read_text(encoding="utf-8"), path.stat()
    after = defect.applied_to(before)
    _write(path, after, times.st_mtime_ns + next(_WRITES) * _SECOND)
    try:
        yield
    finally:
        _write(path, before, times.st_mtime_ns)


def _write(path: Path, text: str, at: int) -> None:
    """What is compiled is known by the second and the size of its source: each writing has its own second."""
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(at, at))
