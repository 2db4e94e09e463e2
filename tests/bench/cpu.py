"""CPU time by process, children included: what a renewal costs, and where."""

from collections.abc import Mapping

import psutil


class CpuMeter:
    """Reads the CPU seconds of named processes; the difference of two readings is what a phase cost."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)

    def read(self) -> dict[str, float]:
        """User and system seconds so far, by name; PostgreSQL's children and ended ones are its own."""
        return {name: _seconds(pid) for name, pid in self._pids.items()}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Seconds between two readings, by name."""
    return {name: after[name] - before.get(name, 0.0) for name in after}


def _seconds(pid: int) -> float:
    process = psutil.Process(pid)
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if one.pid == pid:
            total += times.children_user + times.children_system
    return total
