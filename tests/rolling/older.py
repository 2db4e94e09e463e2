"""The code of an older version, checked out beside ours."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.home import REPOSITORY
from tests.rolling.recorded import CORPUS


@contextmanager
def checked_out(version: str, folder: Path) -> Iterator[Path]:
    """A worktree of the release: by its tag, else by the commit noted with its corpus.

    A checkout without history (an archive, a shallow clone) has neither: then the older version is this one,
    and what is proved is only that processes can be replaced under load.
    """
    commit = next((name for name in (version, _noted(version)) if _is_known(name)), None)
    if commit is None:
        yield REPOSITORY
        return
    _git("worktree", "add", "--detach", "--force", str(folder), commit)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def _noted(version: str) -> str:
    return (CORPUS / version / "commit").read_text().strip()


def _is_known(name: str) -> bool:
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    return subprocess.run(asked, cwd=REPOSITORY, capture_output=True, check=False).returncode == 0


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, check=True)
