"""What an interrupted run has found out: the next one of the very same sources goes on from there."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.mutants.defects import ROOT

FOLDER: Final = ROOT / ".recarga" / "mutants"
_ENDINGS: Final = frozenset({".py", ".sql", ".json"})


class Progress:
    """Answers by key, one a line, kept until the run is over. A change of any source begins a new file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[str, str] = dict(_lines(path))

    def note(self, key: str, answer: str) -> None:
        """Write it down at once: whoever is killed now has kept it. Forked processes may write, too."""
        self.known[key] = answer
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, answer]) + "\n")

    def forget(self) -> None:
        """The run is over: the next one begins anew."""
        self._path.unlink(missing_ok=True)


def path_of(part: str, tree: Path, sources: Sequence[str]) -> Path:
    """The file for this part of a run, as long as these folders of the tree are what they are."""
    return FOLDER / f"{part}-{_digest(tree, sources)[:16]}.jsonl"


def hash_of(text: str) -> str:
    """A few letters that stand for the text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.endswith("]"):  # the last one may have been cut off
            key, answer = json.loads(line)
            yield key, answer


def _digest(tree: Path, sources: Sequence[str]) -> str:
    digest = hashlib.sha256()
    found = (path for folder in sources for path in (tree / folder).rglob("*") if path.suffix in _ENDINGS)
    for path in sorted(found):
        digest.update(str(path.relative_to(tree)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
