"""Private copies of the tree: no defect ever stands in the work tree, where others work and tests run."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.defects import ROOT

_GIT_SECONDS = 60


@contextmanager
def private_copies(count: int) -> Iterator[list[Path]]:
    """So many copies of the work tree as it is now, what is not committed yet included."""
    with TemporaryDirectory(prefix="recarga-mutants-") as folder:
        # PostgreSQL and its tests may run as somebody else.
        Path(folder).chmod(0o755)
        files = _files()
        yield [_copied(files, Path(folder) / str(number)) for number in range(count)]


def _copied(files: list[str], tree: Path) -> Path:
    for name in files:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    (tree / ".venv").symlink_to((ROOT / ".venv").resolve())
    return tree


def _files() -> list[str]:
    """The project's files: those that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=_GIT_SECONDS,
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
