"""The record of what runs in a home, so that the next command finds it, even after a launcher was killed.

A pid alone proves nothing, the kernel gives it out again: a process is itself only if it also started at the
recorded moment of the recorded boot.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.local.errors import LocalStackError
from deploy.local.home import Home

POLL_SECONDS = 0.05
LEFTOVER_GRACE_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that is told apart from a later one with the same pid."""

    pid: int
    start_ticks: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has this pid now, or None when there is none (a zombie is none)."""
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if state in "ZX" else cls(pid, int(fields[18]), _boot())

    def alive(self) -> bool:
        return Identity.of(self.pid) == self


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class RecordedProcess:
    """One process of the stack: what it is, where it answers, how it is asked to stop."""

    name: str
    identity: Identity
    log: str
    address: str = ""
    stop_signal: int = signal.SIGTERM


@dataclass(slots=True)
class RunRecord:
    """Everything a later command must know. `phase` is starting, up or stopping."""

    launcher: Identity
    phase: str = "starting"
    processes: list[RecordedProcess] = field(default_factory=list)

    def write(self, home: Home) -> None:
        """In one step: a reader never sees half a record."""
        fresh = record_file(home).with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=1))
        fresh.replace(record_file(home))


def record_file(home: Home) -> Path:
    return home.run / "stack.json"


def lock_file(home: Home) -> Path:
    return home.run / "lock"


def read_record(home: Home) -> RunRecord | None:
    """The record, or None where there is none that can be read."""
    try:
        raw = json.loads(record_file(home).read_text())
        return RunRecord(
            launcher=Identity(**raw["launcher"]),
            phase=raw["phase"],
            processes=[
                RecordedProcess(**{**process, "identity": Identity(**process["identity"])})
                for process in raw["processes"]
            ],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stop_leftovers(processes: Iterable[RecordedProcess]) -> list[str]:
    """Stops what a dead launcher left, in reverse order of starting at once. Returns the names. Blocking."""
    left = [process for process in processes if process.identity.alive()]
    for process in reversed(left):
        _send(process, process.stop_signal)
        _send(process, signal.SIGCONT)
    if not _all_gone(left, LEFTOVER_GRACE_SECONDS):
        for process in left:
            _send(process, signal.SIGKILL)
        if not _all_gone(left, LEFTOVER_GRACE_SECONDS):
            pids = ", ".join(str(process.identity.pid) for process in left if process.identity.alive())
            raise LocalStackError(
                f"Processes of an earlier run cannot be stopped (pid {pids}): end them and try again."
            )
    return [process.name for process in left]


def _all_gone(processes: Iterable[RecordedProcess], deadline_seconds: float) -> bool:
    waiting = list(processes)
    deadline = time.monotonic() + deadline_seconds
    while waiting := [process for process in waiting if process.identity.alive()]:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _send(process: RecordedProcess, number: int) -> None:
    if process.identity.alive():
        with suppress(ProcessLookupError):
            os.kill(process.identity.pid, number)
