"""Passwords are made once, kept, and nobody else's to read."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.compose.passwords import (
    CUSTOMER_LINK_SECRET,
    OPERATOR_SECRET,
    PASSWORDS,
    TEXT_MESSAGE_SECRET,
    WEBHOOK_SECRET,
    completed,
    write,
)
from tests.unit.compose.files import REPOSITORY

SECRETS = (WEBHOOK_SECRET, OPERATOR_SECRET, CUSTOMER_LINK_SECRET, TEXT_MESSAGE_SECRET)


def values(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_every_password_is_long_and_of_its_own() -> None:
    made = values(completed(""))
    assert len({made[name] for name in PASSWORDS}) == len(PASSWORDS)
    assert all(len(made[name]) >= 32 for name in PASSWORDS)


def test_what_is_there_is_kept_and_only_the_missing_is_added() -> None:
    text = completed("# ours\nPOSTGRES_PASSWORD=chosen\nCOMPOSE_PROFILES=\n")
    assert text.startswith("# ours\nPOSTGRES_PASSWORD=chosen\nCOMPOSE_PROFILES=\n")
    assert text.count("POSTGRES_PASSWORD=") == 1
    assert text.count("COMPOSE_PROFILES=") == 1
    assert completed(text) == text


def test_the_files_are_closed_to_others(tmp_path: Path) -> None:
    write(tmp_path)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / WEBHOOK_SECRET).parent.stat().st_mode) == 0o700


def test_running_it_again_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    files = [tmp_path / name for name in (".env", *SECRETS)]
    before = [file.read_text() for file in files]
    write(tmp_path)
    assert before == [file.read_text() for file in files]
    assert len(set(before)) == len(files)


def test_it_runs_without_anything_installed(tmp_path: Path) -> None:
    script = REPOSITORY / "deploy" / "compose" / "passwords.py"
    subprocess.run(
        [sys.executable, "-I", "-S", script, tmp_path], check=True, capture_output=True, timeout=30
    )
    assert (tmp_path / ".env").exists()


@pytest.mark.parametrize("path", [".env", *(name.as_posix() for name in SECRETS)])
def test_git_ignores_what_it_writes(path: str) -> None:
    done = subprocess.run(["git", "check-ignore", "--quiet", path], cwd=REPOSITORY, timeout=30)
    assert done.returncode == 0
