"""The deliberate defects, as data: `defects/<part>.toml`, one table each.

A defect replaces a text that must stand exactly once in its file. Where the source has changed it fails
loudly instead of silently not applying: then the list is brought up to date.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

LIST: Final = Path(__file__).parent / "defects"
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


def apply(defect: Defect, tree: Path) -> str:
    """Put the defect into a private copy of the tree; returns the file's text as it was.

    Raises:
        DoesNotApply: see `Defect.applied_to`. The file is untouched then.
    """
    path = tree / defect.file
    before = path.read_text(encoding="utf-8")
    path.write_text(defect.applied_to(before), encoding="utf-8")
    return before
