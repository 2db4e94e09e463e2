"""The processes of one stack by name: started, watched, signalled, restarted, kept in the home's record."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection

from deploy.local import run_record
from deploy.local.children import Child, Command, start_child
from deploy.local.errors import ChildDied, LocalStackError
from deploy.local.home import Home
from deploy.local.readiness import Check, death_notice, wait_until_ready

READY_SECONDS = 180.0  # a busy machine is slow; a process that dies is told at once


class Roster:
    """Every process of a stack. An end that nobody asked for is told, and kept in `deaths`."""

    def __init__(self, home: Home, tell: Callable[[str], None]) -> None:
        launcher = run_record.Identity.of(os.getpid())
        if launcher is None:
            raise LocalStackError("/proc is not mounted: the stack needs it to know its processes.")
        self.deaths: list[str] = []
        self.death = asyncio.Event()
        self._home = home
        self._tell = tell
        self._record = run_record.RunRecord(launcher)
        self._children: dict[str, Child] = {}
        self._checks: dict[str, Check] = {}
        self._addresses: dict[str, str] = {}
        self._starting: set[Child] = set()
        self._watchers: set[asyncio.Task[None]] = set()
        self._write()

    @property
    def pids(self) -> dict[str, int]:
        """The pid of every process that runs."""
        return {name: child.pid for name, child in self._children.items() if child.running}

    async def start(self, command: Command, *, ready: Check | None = None, address: str = "") -> Child:
        """Starts a process and waits until it is ready. Raises ChildDied or NotReady."""
        child = start_child(command, self._home.log_of(command.name))
        self._children[command.name] = child
        self._addresses[command.name] = address
        watcher = asyncio.get_running_loop().create_task(self._watch(child))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        self._write()
        if ready is not None:
            self._checks[command.name] = ready
            await self._become_ready(child, ready)
            self._tell(f"{command.name} is ready" + (f" at {address}" if address else ""))
        return child

    async def _become_ready(self, child: Child, ready: Check) -> None:
        self._starting.add(child)
        try:
            await wait_until_ready(child, ready, READY_SECONDS)
        except ChildDied:
            child.wanted = False  # told by the error, so not once more by the watcher
            raise
        finally:
            self._starting.discard(child)

    async def restart(self, name: str) -> None:
        """Stops the process if it still runs, starts it again as before, and waits until it is ready."""
        ended = self._children[name]
        await ended.stop()
        await self.start(ended.command, ready=self._checks.get(name), address=self._addresses[name])

    async def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Sends a deadly signal and waits for the end."""
        await self._children[name].kill(number)

    def send(self, name: str, number: int) -> None:
        """Sends a signal that need not be deadly."""
        self._children[name].send(number)

    async def stop(self, names: Collection[str]) -> None:
        """Stops those processes, all at once."""
        await asyncio.gather(*(self._children[name].stop() for name in names if name in self._children))

    async def stop_all(self, last: tuple[Collection[str], ...]) -> None:
        """Stops everything: first what is in no group of `last`, then group after group."""
        self.set_phase("stopping")
        grouped = {name for group in last for name in group}
        await self.stop([name for name in self._children if name not in grouped])
        for group in last:
            await self.stop(group)
        await asyncio.gather(*self._watchers, return_exceptions=True)
        run_record.record_file(self._home).unlink(missing_ok=True)

    def set_phase(self, phase: str) -> None:
        """Records that the stack is starting, up or stopping."""
        self._record.phase = phase
        self._write()

    async def _watch(self, child: Child) -> None:
        await child.ended()
        if child.wanted and child not in self._starting:  # whoever waits for it gets the error
            self.deaths.append(death_notice(child))
            self.death.set()
            self._tell(self.deaths[-1])

    def _write(self) -> None:
        self._record.processes = [
            run_record.RecordedProcess(
                name, identity, str(child.log), self._addresses[name], child.command.stop_signal
            )
            for name, child in self._children.items()
            if (identity := run_record.Identity.of(child.pid)) is not None
        ]
        self._record.write(self._home)
