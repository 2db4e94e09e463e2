"""`up`, `down`, `status` and `clean`: a stack that stays after the command has ended.

`up` starts a launcher in a session of its own and reads its report, one JSON object per line, until the
stack is ready. Until then the launcher dies with the command; afterwards it stays until `down`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from deploy.local.children import die_with_parent, last_lines, rotate, tied_to
from deploy.local.database_roles import drop_roles, role_of
from deploy.local.errors import AlreadyRunning, LocalStackError
from deploy.local.home import REPOSITORY, Home
from deploy.local.ports import SERVICES
from deploy.local.postgres_account import stand_in
from deploy.local.run_lock import exclusive, try_lock
from deploy.local.run_record import Identity, RunRecord, lock_file, read_record, record_file, stop_leftovers
from deploy.local.stack import Stack

Tell = Callable[[str], None]
STOP_SECONDS = 90.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Report:
    """What a launcher tells the command that started it; `kind` is step, ready or failed."""

    kind: str
    text: str = ""

    def line(self) -> bytes:
        return json.dumps({"kind": self.kind, "text": self.text}).encode() + b"\n"


def is_locked(home: Home) -> bool:
    """Whether a launcher holds the home."""
    if not lock_file(home).exists():
        return False
    descriptor = try_lock(lock_file(home))
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def running(home: Home) -> RunRecord | None:
    """The record of the stack that is up in the home, or None.

    Raises AlreadyRunning while one starts or stops.
    """
    if not is_locked(home):
        return None
    record = read_record(home)
    if record is None or record.phase != "up":
        phase = record.phase if record else "starting"
        raise AlreadyRunning(
            f"The stack in {home.path} is {phase} just now: wait a moment and run the command again."
        )
    return record


def up(home: Home, options: Sequence[str], tell: Tell) -> RunRecord:
    """Starts the stack and leaves it running. Returns its record. Raises LocalStackError with the reason."""
    home.prepare()
    log = home.log_of("launcher")
    rotate(log)
    reading, writing = os.pipe()
    command = [
        sys.executable,
        "-m",
        "deploy.local",
        "run",
        "--home",
        str(home.path),
        "--report",
        str(writing),
    ]
    with log.open("ab") as output, os.fdopen(reading, "rb") as reports:
        launcher = subprocess.Popen(
            [*command, *options],
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            start_new_session=True,
            preexec_fn=tied_to(os.getpid(), signal.SIGTERM),
        )
        os.close(writing)
        try:
            for line in reports:
                report = Report(**json.loads(line))
                if report.kind == "ready":
                    break
                if report.kind == "failed":
                    raise LocalStackError(report.text)
                tell(report.text)
            else:
                raise LocalStackError(f"The launcher died. The end of {log}:\n{last_lines(log)}")
        except BaseException:
            launcher.terminate()
            launcher.wait(STOP_SECONDS)
            raise
    record = read_record(home)
    if record is None:
        raise LocalStackError(f"The stack stopped at once. The end of {log}:\n{last_lines(log)}")
    return record


async def run(stack: Callable[[Tell], Stack], report_to: int | None) -> None:
    """Runs a stack until a signal.

    With `report_to` (a descriptor) the steps go there, and it is closed when ready.
    """
    report = _reporter(report_to)

    def tell(text: str) -> None:
        print(text, flush=True)
        report(Report("step", text))

    try:
        async with stack(tell):
            if report_to is not None:
                die_with_parent(0)  # from here on the stack stays when the command ends
                report(Report("ready"))
                os.close(report_to)
                report_to = None
                report = _reporter(None)
            await asyncio.Event().wait()
    except LocalStackError as error:
        report(Report("failed", str(error)))
        raise


def _reporter(descriptor: int | None) -> Callable[[Report], None]:
    def write(report: Report) -> None:
        if descriptor is not None:
            with suppress(BrokenPipeError):  # the command is gone: its death stops us anyway
                os.write(descriptor, report.line())

    return write


def down(home: Home, tell: Tell) -> bool:
    """Stops the stack, or what a killed launcher left of it. Returns whether there was anything to stop."""
    if not home.run.exists():
        return False
    was_running = _stop_launcher(home)
    with exclusive(lock_file(home), time.monotonic() + STOP_SECONDS):
        left = _stop_leftovers(home)
    if left:
        tell(f"Stopped what a killed launcher had left: {', '.join(left)}.")
    return was_running or bool(left)


def _stop_launcher(home: Home) -> bool:
    record = read_record(home)
    if record is None or not is_locked(home) or not record.launcher.alive():
        return False
    os.kill(record.launcher.pid, signal.SIGTERM)
    if not _gone(record.launcher, STOP_SECONDS):
        os.kill(record.launcher.pid, signal.SIGKILL)
    return True


def _gone(process: Identity, deadline_seconds: float) -> bool:
    deadline = time.monotonic() + deadline_seconds
    while process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _stop_leftovers(home: Home) -> list[str]:
    record = read_record(home)
    left = stop_leftovers(record.processes) if record else []
    record_file(home).unlink(missing_ok=True)
    return left


def clean(home: Home, tell: Tell, environment: Mapping[str, str] | None = None) -> None:
    """Stops the stack and removes its data, logs and secrets. Downloads and unpacked programs stay."""
    down(home, tell)
    if not home.run.exists():
        return
    url = (os.environ if environment is None else environment).get("DATABASE_URL")
    with exclusive(lock_file(home), time.monotonic() + STOP_SECONDS):
        if url:
            asyncio.run(drop_roles(url, [(role_of(service), service) for service in SERVICES]))
        for folder in (stand_in(home.stored), home.stored, home.logs, home.secrets):
            shutil.rmtree(folder, ignore_errors=True)
        for file in home.run.iterdir():
            if file != lock_file(home):
                file.unlink(missing_ok=True)
