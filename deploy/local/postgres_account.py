"""Whom PostgreSQL runs as, and where its files may lie for that account to reach them.

As an ordinary user: as that user, inside the home. As root: as `nobody`, inside the home if `nobody` can get
there, and else (a checkout under /root) in a folder under /var/lib whose name follows from the home's path.
Not /var/tmp: systems remove what is 30 days old there, and this is data.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from deploy.local.errors import LocalStackError

ACCOUNT_FOR_ROOT = "nobody"
OUTSIDE = Path("/var/lib/recarga")


class ProcessAccount(TypedDict, total=False):
    """The arguments of subprocess.Popen that change the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The account, or our own when `uid` is None."""

    uid: int | None = None
    gid: int | None = None

    def as_arguments(self) -> ProcessAccount:
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Makes the account the owner of one file or folder."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can reach the folder and read it; asked by trying, so that ACLs count too."""
        if self.uid is None:
            return True
        command = ["/bin/sh", "-c", 'cd "$1" && test -r . && test -x .', "sh", str(folder)]
        try:
            answer = subprocess.run(
                command, cwd="/", capture_output=True, timeout=20, check=False, **self.as_arguments()
            )
        except (PermissionError, OSError) as error:
            raise LocalStackError(
                f"PostgreSQL refuses to run as root, and this root may not become {ACCOUNT_FOR_ROOT!r} "
                f"({error}): run the command as an ordinary user, or name a server with DATABASE_URL."
            ) from error
        return answer.returncode == 0


def account_for(effective_uid: int) -> Account:
    """Our own account, or `nobody` for root. Raises LocalStackError where there is no `nobody`."""
    if effective_uid != 0:
        return Account()
    try:
        entry = pwd.getpwnam(ACCOUNT_FOR_ROOT)
    except KeyError:
        raise LocalStackError(
            f"PostgreSQL refuses to run as root and there is no account {ACCOUNT_FOR_ROOT!r} to run it: "
            "run the command as an ordinary user, or name a server with DATABASE_URL."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def reachable(folder: Path, account: Account) -> Path:
    """`folder` itself if the account can enter it, else its stand-in under /var/lib. The folder returned
    exists.

    Raises LocalStackError where the account can enter neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if account.can_enter(folder):
        return folder
    outside = stand_in(folder)
    try:
        outside.mkdir(parents=True, exist_ok=True)
        for made in (outside.parent, outside):
            made.chmod(0o755)
    except OSError as error:
        raise LocalStackError(f"{_neither(folder, outside)} ({error})") from error
    if not account.can_enter(outside):
        raise LocalStackError(_neither(folder, outside))
    return outside


def stand_in(folder: Path) -> Path:
    """The stable name outside of a folder that the account cannot enter."""
    return OUTSIDE / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def _neither(folder: Path, outside: Path) -> str:
    return f"{ACCOUNT_FOR_ROOT!r} can enter neither {folder} nor {outside}: move the home with RECARGA_HOME."
