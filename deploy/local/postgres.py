"""One PostgreSQL server: made once, started many times.

PostgreSQL refuses to run as root, so for root it runs as `nobody` (see postgres_account.py).
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from deploy.local.errors import LocalStackError
from deploy.local.postgres_account import Account

HOST = "127.0.0.1"
SUPERUSER = "postgres"
INITDB_TIMEOUT_SECONDS = 120

# For a laptop and for the bench alike: durable (fsync and synchronous_commit stay on), few checkpoints, and
# WAL compressed because full-page images dominate it after each checkpoint. New WAL segments are not filled
# with zeros first: until old ones are recycled, which takes long on a fresh server, all WAL is written twice.
SETTINGS: Mapping[str, str] = {
    "max_connections": "200",
    "work_mem": "8MB",
    "wal_compression": "on",
    "wal_init_zero": "off",
    "max_wal_size": "4GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "synchronous_commit": "on",
    "fsync": "on",
    "autovacuum": "on",
    "autovacuum_naptime": "15s",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "password_encryption": "scram-sha-256",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """What is needed to run the server. `settings` override SETTINGS."""

    binaries: Path
    stored: Path
    port: int
    account: Account
    password: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}:{quote(self.password)}@{HOST}:{self.port}/{database}"

    def initialise_once(self) -> None:
        """Runs initdb into an empty folder. Raises LocalStackError with initdb's own words. Blocking."""
        if (self.stored / "PG_VERSION").exists():
            return
        fresh = self.stored.with_name(self.stored.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)  # an initdb that was interrupted
        fresh.mkdir(parents=True, mode=0o700)
        password_file = fresh.with_name(self.stored.name + ".password")
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        self.account.give(fresh)
        self.account.give(password_file)
        command: list[str | Path] = [
            self.binaries / "bin" / "initdb",
            "-D",
            fresh,
            "-U",
            SUPERUSER,
            "--pwfile",
            password_file,
        ]
        # The builtin provider compares keys byte by byte instead of asking libc: they are ids, not prose.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums"]
        try:
            self._initdb([*command, "--no-sync"])
        finally:
            password_file.unlink(missing_ok=True)
        fresh.rename(self.stored)

    def _initdb(self, command: list[str | Path]) -> None:
        answer = subprocess.run(
            command,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT_SECONDS,
            check=False,
            **self.account.as_arguments(),
        )
        if answer.returncode != 0:
            raise LocalStackError(f"PostgreSQL could not make {self.stored}: {answer.stderr.strip()[-800:]}")

    def server_command(self) -> list[str]:
        """`postgres` itself, not pg_ctl: it stays our child. The socket lies in the data folder, mode 700."""
        settings = {
            **SETTINGS,
            "shared_buffers": f"{shared_megabytes(psutil.virtual_memory().total)}MB",
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": socket_folder(self.stored),
            **self.settings,
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [str(self.binaries / "bin" / "postgres"), "-D", str(self.stored), *options]


def shared_megabytes(memory_bytes: int) -> int:
    """A sixteenth of the machine's memory, from 256 MB to 1 GB: a million balances then stay in it."""
    return min(max(memory_bytes // 16 // 2**20, 256), 1024)


def socket_folder(stored: Path) -> str:
    """The data folder, or none where its name is too long for a socket's address (107 bytes)."""
    return str(stored) if len(str(stored)) < 80 else ""


def new_password() -> str:
    return secrets.token_urlsafe(24)


def kept_secret(path: Path) -> str:
    """The secret in the file, made at first use, mode 600."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(new_password() + "\n")
        fresh.replace(path)
    return path.read_text().strip()


async def postgres_answers(url: str, timeout_seconds: float = 2.0) -> bool:
    """Whether the server signs us in and answers `select 1`.

    Raises LocalStackError where waiting cannot help: a wrong password, an unknown database.
    """
    try:
        connection = await asyncpg.connect(url, timeout=timeout_seconds)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise LocalStackError(f"PostgreSQL refuses us: {error}") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        return bool(await connection.fetchval("select 1", timeout=timeout_seconds) == 1)
    finally:
        await connection.close(timeout=timeout_seconds)
