"""`make demo` as a newcomer meets it: a whole run, a carrier's own file, Ctrl-C, and a service that dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.demo.story import iccid
from deploy.local.home import REPOSITORY
from tests.conftest import heed_signals, readable_folder

RUN_SECONDS = 240
STEP_SECONDS = 120
POLL_SECONDS = 0.1
HEADER = "source,record_id,iccid,session_id,imei,bytes_up,bytes_down,country,started_at,ended_at"
MIB = 2**20


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that PostgreSQL's account can enter; whoever used it has left no process behind."""
    folder = readable_folder()
    yield folder
    assert processes_of(folder) == []
    shutil.rmtree(folder)


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that work in the home."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(home) in line and process.pid != os.getpid():
            found.append(line)
    return found


def demo(home: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deploy.local.demo", "--home", str(home), *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECARGA_")}
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=heed_signals,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=RUN_SECONDS)
    return process.returncode, output


def pid_of(home: Path, name: str, running: subprocess.Popen[str]) -> int:
    """The pid of one process of the running demo, once it is up."""
    record = home / "run" / "stack.json"
    until = time.monotonic() + STEP_SECONDS
    while time.monotonic() < until:
        if record.exists():
            for process in json.loads(record.read_text())["processes"]:
                if process["name"] == name:
                    return int(process["identity"]["pid"])
        assert running.poll() is None, finished(running)[1]
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"{name} was not started within {STEP_SECONDS} s")


def test_the_story_happens_the_books_balance_and_nothing_stays(home: Path) -> None:
    code, output = finished(demo(home))

    assert code == 0, output
    assert "The story happened and the books balance." in output
    assert "Our books equal the sandbox's journals, row by row" in output
    assert "NO" not in output.split()
    assert list((home / "logs").glob("payment-1.log"))
    assert not (home / "data").exists()
    assert not (home / "secrets").exists()


def test_a_carrier_replays_a_file_of_its_own(home: Path, tmp_path: Path) -> None:
    lines = [HEADER]
    for number in range(30):
        for hour in range(6):
            at = f"2026-11-22T{hour:02d}"
            who = f"carrier-x,{number}-{hour},{iccid(7_000 + number)}"
            lines.append(f"{who},,,{MIB},{40 * MIB},CU,{at}:00:00Z,{at}:30:00Z")
    lines.insert(3, "this is no usage record")
    usage = tmp_path / "usage.csv"
    usage.write_text("\n".join(lines) + "\n")

    code, output = finished(demo(home, "--usage", str(usage)))

    assert code == 0, output
    assert "line 4:" in output
    assert "its 30 ICCIDs get a subscriber each" in output
    assert "180 of 180" in output
    renewed = next(line for line in output.splitlines() if "from your file" in line)
    assert renewed.split()[0] == "30"
    assert "30 completed" in renewed


def test_a_file_that_is_none_is_told_in_a_sentence(home: Path, tmp_path: Path) -> None:
    code, output = finished(demo(home, "--usage", str(tmp_path / "missing.csv")))

    assert code == 1
    assert "cannot be read" in output
    assert "Traceback" not in output


def test_control_c_stops_everything(home: Path) -> None:
    process = demo(home)
    pid_of(home, "kafka", process)

    process.send_signal(signal.SIGINT)
    code, output = finished(process)

    assert code == 130, output
    assert "Traceback" not in output


def test_a_service_that_dies_fails_the_demo_and_says_which_and_where_its_log_is(home: Path) -> None:
    process = demo(home)

    os.kill(pid_of(home, "catalog-1", process), signal.SIGKILL)
    code, output = finished(process)

    assert code == 1, output
    assert "catalog-1 was killed by signal 9" in output
    assert str(home / "logs") in output
