"""A process is recognised by more than its pid, and two launchers never hold one home."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.errors import AlreadyRunning
from deploy.local.home import Home
from deploy.local.run_lock import exclusive, holder_of, try_lock
from deploy.local.run_record import (
    Identity,
    RecordedProcess,
    RunRecord,
    read_record,
    record_file,
    stop_leftovers,
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def identity_of(pid: int) -> Identity:
    identity = Identity.of(pid)
    assert identity is not None
    return identity


def test_a_leftover_is_stopped(sleeper: subprocess.Popen[bytes]) -> None:
    left = RecordedProcess("kafka", identity_of(sleeper.pid), "kafka.log")

    assert stop_leftovers([left]) == ["kafka"]
    assert sleeper.wait(timeout=10) < 0


@pytest.mark.parametrize("difference", [{"start_ticks": 1}, {"boot": "another boot"}], ids=["start", "boot"])
def test_another_process_with_the_recorded_pid_is_left_alone(
    sleeper: subprocess.Popen[bytes], difference: dict[str, int | str]
) -> None:
    other = dataclasses.replace(identity_of(sleeper.pid), **difference)  # type: ignore[arg-type]

    assert stop_leftovers([RecordedProcess("kafka", other, "kafka.log")]) == []
    assert sleeper.poll() is None


def test_a_process_that_ended_but_was_not_reaped_counts_as_gone(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)

    assert not identity.alive()


def test_a_record_is_read_back_as_it_was_written(home: Home) -> None:
    me = identity_of(os.getpid())
    record = RunRecord(me, "up", [RecordedProcess("postgres", me, "postgres.log", "127.0.0.1:15432", 2)])

    record.write(home)

    assert read_record(home) == record


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"launcher": 1}'])
def test_an_unreadable_record_counts_as_none(home: Home, text: str) -> None:
    record_file(home).write_text(text)

    assert read_record(home) is None


def test_a_second_launcher_gets_no_lock_and_learns_who_holds_it(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None

    assert try_lock(tmp_path / "lock") is None
    assert holder_of(tmp_path / "lock") == os.getpid()
    os.close(first)


def test_a_lock_is_free_again_once_its_holder_is_gone(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None
    os.close(first)

    with exclusive(tmp_path / "lock", deadline=time.monotonic()):
        assert try_lock(tmp_path / "lock") is None


def test_waiting_for_a_lock_ends_at_the_deadline(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None

    with (
        pytest.raises(AlreadyRunning, match=f"Process {os.getpid()} holds"),
        exclusive(tmp_path / "lock", deadline=time.monotonic()),
    ):
        pytest.fail("two holders of one lock")
    os.close(first)


def test_passwords_lie_in_a_folder_that_only_their_owner_can_enter(home: Home) -> None:
    assert home.secrets.stat().st_mode & 0o777 == 0o700
