"""The older version is the release itself, or it is said why it cannot be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.rolling import older
from tests.rolling.older import checked_out
from tests.rolling.recorded import versions

NEWEST = versions()[-1]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for ours, without git."""
    folder = tmp_path / "sources"
    folder.mkdir()
    monkeypatch.setattr(older, "REPOSITORY", folder)
    return folder


def git(folder: Path, *arguments: str) -> None:
    somebody = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
    subprocess.run(["git", *somebody, *arguments], cwd=folder, capture_output=True, check=True, timeout=30)


def test_the_release_is_checked_out_beside_ours_and_taken_away(sources: Path, tmp_path: Path) -> None:
    git(sources, "init")
    (sources / "released").touch()
    git(sources, "add", "released")
    git(sources, "commit", "--no-gpg-sign", "--message", "as released")
    git(sources, "tag", "--no-sign", NEWEST)
    git(sources, "commit", "--no-gpg-sign", "--allow-empty", "--message", "went on")
    (sources / "ours").touch()
    with checked_out(NEWEST, tmp_path / "older") as folder:
        assert folder == tmp_path / "older"
        assert {path.name for path in folder.iterdir()} == {".git", "released"}
    assert not folder.exists()


def test_a_checkout_whose_history_lacks_the_release_says_so(sources: Path, tmp_path: Path) -> None:
    git(sources, "init")
    older_version = checked_out(NEWEST, tmp_path / "older")
    with pytest.warns(UserWarning, match="git fetch --tags"), older_version as folder:
        assert folder == sources


def test_sources_without_git_are_their_own_older_version(sources: Path, tmp_path: Path) -> None:
    with checked_out(NEWEST, tmp_path / "older") as folder:
        assert folder == sources
