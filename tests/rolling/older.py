"""The code of an older version, checked out beside ours."""

import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.home import REPOSITORY
from tests.rolling.recorded import CORPUS


@contextmanager
def checked_out(version: str, folder: Path) -> Iterator[Path]:
    """A worktree of the release: by its tag, else by the commit noted with its corpus.

    Sources without git (an archive, a copy in an image) have neither: then the older version is this one, and
    what is proved is only that processes can be replaced under load. Of a checkout whose history does not
    reach back to the release a warning says so.
    """
    commit = next((name for name in (version, *_noted(version)) if _is_known(name)), None)
    if commit is None:
        if _is_checkout():
            warnings.warn(
                f"{version} is not in this checkout's history, so this version is tested against itself:"
                " git fetch --tags, and --unshallow where the clone is shallow",
                stacklevel=2,
            )
        yield REPOSITORY
        return
    _git("worktree", "add", "--detach", "--force", str(folder), commit)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def _noted(version: str) -> list[str]:
    """The commit in the version's folder; none where there is no such folder, any commit may be asked for."""
    note = CORPUS / version / "commit"
    return [note.read_text().strip()] if note.exists() else []


def _is_known(name: str) -> bool:
    return _asked("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}") is not None


def _is_checkout() -> bool:
    """Ours, and readable: not a folder inside another repository, nor one that git refuses to read for us."""
    top = _asked("rev-parse", "--show-toplevel")
    return top is not None and Path(top).resolve() == REPOSITORY.resolve()


def _asked(*arguments: str) -> str | None:
    """What git says; None where it refuses."""
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, check=True)
