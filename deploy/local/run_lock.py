"""Locks on files: the kernel frees them when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import AlreadyRunning

POLL_SECONDS = 0.05


def try_lock(path: Path) -> int | None:
    """An open descriptor that holds the lock, or None while somebody else does. Close it to free the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def holder_of(path: Path) -> int | None:
    """The pid that wrote its number into the lock file, for messages only."""
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):
        return None


@contextmanager
def exclusive(path: Path, deadline: float) -> Iterator[None]:
    """Holds the lock, waiting for it until `deadline` (monotonic seconds).

    Raises AlreadyRunning after that.
    """
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise AlreadyRunning(f"Process {holder_of(path)} holds {path}: wait for it or stop it.")
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)
