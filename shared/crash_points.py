"""Named places at which a process can be ordered to die or to stand still, so that a test meets it there.

RECARGA_CRASH_ORDER names a file; the order in it is `<point> <n> <signal>`: passing that point for the n-th
time the process sends itself SIGKILL, or SIGSTOP. The file is read whenever a point is passed, so a running
process can be ordered to. Without the variable, as in every real deployment, `orders` is None and a point
costs one look:

    if crash_points.orders is not None:
        crash_points.orders.pass_by(crash_points.BEFORE_COMMIT)
"""

import os
import signal
from pathlib import Path
from typing import Final

VARIABLE: Final = "RECARGA_CRASH_ORDER"

BEFORE_COMMIT: Final = "before_commit"
"""All statements of a transaction have been made, its events are in the outbox."""
COMMIT_TO_PUBLISH: Final = "commit_to_publish"
"""State and events are committed, Kafka has not been told."""
BEFORE_PUBLISH: Final = "before_publish"
"""The same where nothing is written: answers exist in memory only."""
PUBLISH_TO_OFFSET: Final = "publish_to_offset"
"""Handled and published, and the offsets still say that it was not read."""
BEFORE_SEND: Final = "before_send"
"""A row says that a request is being sent; not a byte of it is written."""
SEND_TO_RESULT: Final = "send_to_result"
"""A gateway has answered, nobody has written down what."""
POINTS: Final = (
    BEFORE_COMMIT,
    COMMIT_TO_PUBLISH,
    BEFORE_PUBLISH,
    PUBLISH_TO_OFFSET,
    BEFORE_SEND,
    SEND_TO_RESULT,
)


class Orders:
    """The order file of this process. `<file>.carried-out` is what remains of an order that was."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._carried_out = file.with_name(file.name + ".carried-out")
        self._order = ""
        self._passed = 0

    def pass_by(self, point: str) -> None:
        """Die or stand still here, if that is the order and this is the time."""
        try:
            order = self._file.read_text()
        except FileNotFoundError:
            return
        if order != self._order:
            self._order, self._passed = order, 0
        wanted, times, name = order.split()
        if wanted != point:
            return
        self._passed += 1
        if self._passed >= int(times):
            # Who only stood still counts anew, should the same be ordered again.
            self._order = ""
            # First, so that whoever finds us dead knows that it was here, and who follows us lives.
            self._file.rename(self._carried_out)
            os.kill(os.getpid(), signal.Signals[name])


def write_order(file: Path, point: str, times: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Order whoever looks at `file` to send itself the signal when it passes `point` for the n-th time."""
    if point not in POINTS:
        raise ValueError(f"no such point: {point!r}")
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(f"{point} {times} {number.name}")
    fresh.replace(file)


def taken_back(file: Path) -> bool:
    """Take the order back; False where it was carried out before."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def was_carried_out(file: Path) -> bool:
    """Whether the process followed its order. Asked once: the trace is removed."""
    return taken_back(file.with_name(file.name + ".carried-out"))


def _orders() -> Orders | None:
    file = os.environ.get(VARIABLE)
    return Orders(Path(file)) if file else None


orders: Final = _orders()
