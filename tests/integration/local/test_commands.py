"""The commands as a person types them, and the ends that a person, a terminal or the kernel puts to them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from deploy.local.home import REPOSITORY, Home
from deploy.local.ports import Ports, setting_of
from deploy.local.run_record import RunRecord, read_record
from tests.conftest import heed_signals, readable_folder

DEADLINE_SECONDS = 180


@dataclass(frozen=True)
class Shell:
    """Runs the commands against one home, on ports of its own."""

    home: Home
    environment: dict[str, str]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", *words],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local", *words],
            cwd=REPOSITORY,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=heed_signals,
        )

    def record_in_phase(self, phase: str) -> RunRecord:
        """Waits until the stack says that it is there."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            record = read_record(self.home)
            if record is not None and record.phase == phase and record.processes:
                return record
            time.sleep(0.02)  # a condition with a deadline, polled
        raise AssertionError(f"the stack was never {phase}")


@pytest.fixture
def shell() -> Iterator[Shell]:
    folder = readable_folder()
    ports = {setting_of(name): str(number) for name, number in Ports.free().numbers.items()}
    inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    shell = Shell(Home.at(folder / "home"), {**inherited, **ports, "RECARGA_HOME": str(folder / "home")})
    yield shell
    shell.run("down")
    shutil.rmtree(folder)


def members(record: RunRecord) -> list[psutil.Process]:
    roots = [psutil.Process(process.identity.pid) for process in record.processes]
    return roots + [child for root in roots for child in root.children(recursive=True)]


def all_gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=DEADLINE_SECONDS)
    return not alive


def test_up_stays_until_down_and_a_second_up_says_so(shell: Shell) -> None:
    first = shell.run("up", "--only", "postgres")
    record = shell.record_in_phase("up")
    second = shell.run("up", "--only", "postgres")
    told = shell.run("status")
    processes = members(record)
    down = shell.run("down")

    assert (first.returncode, second.returncode, told.returncode, down.returncode) == (0, 0, 0, 0), (
        first.stdout
    )
    assert "The stack is up." in first.stdout
    assert "already up" in second.stdout
    assert shell.environment["RECARGA_POSTGRES_PORT"] in told.stdout
    assert all_gone(processes)
    assert "was not running" in shell.run("down").stdout
    assert shell.run("status").returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(shell: Shell, number: signal.Signals) -> None:
    running = shell.begin("run", "--only", "postgres")
    processes = members(shell.record_in_phase("up"))

    running.send_signal(number)

    assert running.wait(DEADLINE_SECONDS) == 0
    assert all_gone(processes)
    assert read_record(shell.home) is None


def test_a_signal_while_starting_stops_what_was_started(shell: Shell) -> None:
    starting = shell.begin("up", "--only", "postgres,kafka")
    processes = members(shell.record_in_phase("starting"))

    starting.send_signal(signal.SIGINT)

    assert starting.wait(DEADLINE_SECONDS) == 130
    assert all_gone(processes)


def test_the_kernel_stops_the_children_of_a_killed_launcher(shell: Shell) -> None:
    running = shell.begin("run", "--only", "postgres,kafka")
    processes = members(shell.record_in_phase("up"))

    running.kill()
    running.wait(DEADLINE_SECONDS)

    assert all_gone(processes)


def test_a_command_killed_while_starting_takes_its_launcher_along(shell: Shell) -> None:
    starting = shell.begin("up", "--only", "postgres,kafka")
    record = shell.record_in_phase("starting")
    processes = [*members(record), psutil.Process(record.launcher.pid)]

    starting.kill()
    starting.wait(DEADLINE_SECONDS)

    assert all_gone(processes)


def test_the_next_command_stops_what_outlived_a_killed_launcher(shell: Shell) -> None:
    running = shell.begin("run", "--only", "postgres")
    record = shell.record_in_phase("up")
    processes = members(record)
    postmaster = psutil.Process(record.processes[0].identity.pid)
    postmaster.suspend()  # it gets the kernel's signal and cannot act on it: a leftover
    running.kill()
    running.wait(DEADLINE_SECONDS)
    assert postmaster.is_running()

    again = shell.run("up", "--only", "postgres")

    assert again.returncode == 0, again.stdout
    assert "Stopped what an earlier run had left: postgres." in again.stdout
    assert all_gone(processes)


def test_a_busy_port_is_one_clear_error(shell: Shell) -> None:
    assert shell.run("up", "--only", "postgres").returncode == 0
    other = Shell(shell.home, {**shell.environment, "RECARGA_HOME": str(shell.home.path.with_name("other"))})

    refused = other.run("up", "--only", "postgres")

    assert refused.returncode == 1
    assert (
        f"Port {shell.environment['RECARGA_POSTGRES_PORT']} (postgres) is in use by postgres"
        in refused.stdout
    )
    assert "RECARGA_POSTGRES_PORT" in refused.stdout
    assert "Traceback" not in refused.stdout + refused.stderr


def test_clean_stops_and_removes_the_data(shell: Shell) -> None:
    shell.run("up", "--only", "postgres")
    processes = members(shell.record_in_phase("up"))

    cleaned = shell.run("clean")

    assert cleaned.returncode == 0
    assert all_gone(processes)
    assert not shell.home.stored.exists()
    assert not shell.home.secrets.exists()


def test_no_password_is_printed_or_logged(shell: Shell) -> None:
    said = shell.run("up", "--only", "postgres")
    logs = [log.read_text() for log in shell.home.logs.iterdir()]
    secrets = [file.read_text().strip() for file in shell.home.secrets.iterdir()]

    assert len(secrets) > 1
    for secret in secrets:
        assert secret not in said.stdout + said.stderr
        assert not [log for log in logs if secret in log]
