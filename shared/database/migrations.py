"""Brings a service's schema up to date: plain SQL files, run by dbmate, each once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MESSAGING = Path(__file__).parents[1] / "messaging" / "migrations"
DEADLINE_SECONDS = 120


class MigrationFailed(Exception):
    """A migration could not be applied; the message holds what dbmate said."""


def migrate(url: str, migrations: Path) -> None:
    """Apply what is new in `migrations` and in the messaging tables, in the order of their versions.

    The role of `url` has its own schema as its search path: tables and dbmate's own record go there.

    Raises:
        MigrationFailed: dbmate is missing, did not finish in time, or a statement failed.
    """
    command = [
        _dbmate(),
        "--migrations-dir",
        str(MESSAGING),
        "--migrations-dir",
        str(migrations),
        "--no-dump-schema",
        "migrate",
        "--strict",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            command,
            env={**os.environ, "DATABASE_URL": _without_tls_on_loopback(url)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MigrationFailed(f"{migrations}: not finished after {DEADLINE_SECONDS} s") from error
    if done.returncode:
        raise MigrationFailed(f"{migrations}: {(done.stderr or done.stdout).strip()}")


def _dbmate() -> str:
    beside_python = Path(sys.executable).with_name("dbmate")
    found = str(beside_python) if beside_python.exists() else shutil.which("dbmate")
    if found is None:
        raise MigrationFailed("dbmate is not installed: install the locked requirements again")
    return found


def _without_tls_on_loopback(url: str) -> str:
    """dbmate insists on TLS unless told otherwise; a server on loopback has none."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if parts.hostname in {"127.0.0.1", "localhost", "::1"}:
        options.setdefault("sslmode", "disable")
    return urlunsplit(parts._replace(query=urlencode(options)))
