"""Child processes that never outlive their launcher, with their output in a log file.

Each child asks the kernel for a signal when its parent dies (PR_SET_PDEATHSIG), so that a launcher killed
with SIGKILL takes its children along. The kernel binds that to the *thread* that started the child: start
children from the main thread only.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.postgres_account import Account

PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child may not allocate or import between fork and exec.
_LIBC = ctypes.CDLL(None, use_errno=True)
LAST_LINES = 20
LAST_BYTES = 8192


def die_with_parent(death_signal: int) -> None:
    """Asks for `death_signal` when the calling process's parent ends; 0 withdraws that."""
    if _LIBC.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")


def tied_to(parent_pid: int, death_signal: int) -> Callable[[], None]:
    """For `preexec_fn`: the child gets `death_signal` when `parent_pid` ends."""

    def in_child() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before we could ask
            os._exit(1)

    return in_child


@dataclass(frozen=True, slots=True)
class Command:
    """How a child is started and how it is asked to stop."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("/")
    account: Account = field(default_factory=Account)
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = 20.0


class Child:
    """One running (or ended) process. Made by `start_child`."""

    def __init__(self, command: Command, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.command = command
        self.popen = popen
        self.log = log
        self.wanted = True  # False once we ask it to stop: its end is then no surprise

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    async def ended(self) -> int:
        """Waits for its end without polling. Returns the exit code, negative for a signal."""
        if not self.running:
            return int(self.popen.returncode)
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        descriptor = os.pidfd_open(self.pid)
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self.popen.wait()

    def send(self, number: int) -> None:
        """Sends a signal; nothing happens when the process has ended."""
        self.popen.send_signal(number)

    async def stop(self) -> None:
        """Asks it to stop, and kills its whole session when it has not after its grace."""
        self.wanted = False
        if not self.running:
            return
        self.send(self.command.stop_signal)
        self.send(signal.SIGCONT)  # a stopped process cannot handle a signal
        try:
            await asyncio.wait_for(self.ended(), self.command.grace_seconds)
        except TimeoutError:
            await self.kill(signal.SIGKILL)

    async def kill(self, number: int) -> None:
        """Sends a deadly signal and waits for the end."""
        self.wanted = False
        if self.running:
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                self.send(number)
            await self.ended()

    def last_lines(self) -> str:
        return last_lines(self.log)


def start_child(command: Command, log: Path) -> Child:
    """Starts it in a session of its own: a Ctrl-C in the terminal reaches only us. Output is appended."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **command.environment},
            cwd=command.folder,
            start_new_session=True,
            preexec_fn=tied_to(os.getpid(), command.stop_signal),
            **command.account.as_arguments(),
        )
    return Child(command, popen, log)


def rotate(log: Path) -> None:
    """Keeps the log of the run before as `.1`."""
    if log.exists():
        log.replace(log.with_name(log.name + ".1"))


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """The end of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(lines[-count:]) or "(its log is empty)"
