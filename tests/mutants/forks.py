"""Forked children, a few at once: each starts warm, tries one thing, answers in one line and is gone."""

import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, NamedTuple

_MOST_BYTES: Final = 4 * 2**30
"""Of address space: a mutant that grows for ever must not take the machine with it."""
_SAID: Final = b"="
"""Begins an answer, which may be empty: who died has said nothing at all."""
DID_NOT_END: Final = "did not end in time"
_WALL: Final = 20.0
"""So many times its CPU may something last: who waits for ever takes none."""
DIED: Final = "the process died"


class _Child(NamedTuple):
    key: str
    pid: int
    until: float


class Forks:
    """`answered` is told what each child said, in the parent, in no order."""

    def __init__(self, at_once: int, answered: Callable[[str, str], None]) -> None:
        self._at_once = at_once
        self._answered = answered
        self._children: dict[int, _Child] = {}
        self._said: dict[int, bytes] = {}
        self._write = -1

    def begin(self, key: str, seconds: float) -> bool:
        """Fork once there is room; True in the child, which has to `answer` within so many seconds."""
        while len(self._children) >= self._at_once:
            self._listen()
        read, write = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become_a_child(read, write)
            return True
        os.close(write)
        self._children[read] = _Child(key, pid, time.monotonic() + seconds)
        self._said[read] = b""
        return False

    def answer(self, text: str) -> None:
        """In the child: say it, and be gone without clearing anything up."""
        os.write(self._write, _SAID + text.encode()[:4000])
        os._exit(0)

    def wait(self) -> None:
        """Until all children have ended."""
        while self._children:
            self._listen()

    def _become_a_child(self, read: int, write: int) -> None:
        os.close(read)
        for other in self._children:
            os.close(other)
        self._children = {}
        self._write = write
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))

    def bound(self, cpu_seconds: float, what: str) -> None:
        """In a child: answer that `what` did not end, should it take more CPU than this from now on.

        CPU and not time: how busy the machine is must not decide what is caught. Only who waits is
        bounded by time.
        """
        for timer, ring, seconds in (
            (signal.ITIMER_PROF, signal.SIGPROF, cpu_seconds),
            (signal.ITIMER_REAL, signal.SIGALRM, cpu_seconds * _WALL),
        ):
            signal.signal(ring, lambda *_: self.answer(f"{what} {DID_NOT_END}"))
            signal.setitimer(timer, seconds)

    def _listen(self) -> None:
        """Take what has been said, for at most a moment; end who is over time."""
        ready, _, _ = select.select(list(self._children), [], [], 0.2)
        for read in ready:
            said = os.read(read, 65_536)
            self._said[read] += said
            if not said:
                self._ended(read, "")
        now = time.monotonic()
        for read, child in list(self._children.items()):
            if now > child.until:
                os.kill(child.pid, signal.SIGKILL)
                self._ended(read, DID_NOT_END)

    def _ended(self, read: int, instead: str) -> None:
        child = self._children.pop(read)
        os.close(read)
        os.waitpid(child.pid, 0)
        said = self._said.pop(read)
        told = said.removeprefix(_SAID).decode(errors="replace") if said else DIED
        self._answered(child.key, instead or told)
