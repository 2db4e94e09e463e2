"""PostgreSQL is run where it was installed, or from one whole copy that its account can reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import postgres_binaries
from deploy.local.errors import LocalStackError
from deploy.local.postgres_account import Account
from deploy.local.postgres_binaries import PACKAGE, SERVER, binaries_for, installed

BINARY = Path("bin", "postgres")


class Outsider(Account):
    """An account that cannot enter where the wheel was installed."""

    def can_enter(self, folder: Path) -> bool:
        return "packages" not in folder.parts


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """An installed wheel that only its owner may read, as with a umask of 077."""
    packages = tmp_path / "packages"
    for path, mode in ((SERVER / BINARY, 0o700), (Path(f"{PACKAGE}.libs", "libpq.so"), 0o600)):
        (packages / path).parent.mkdir(parents=True, mode=0o700)
        (packages / path).write_bytes(b"ELF\n")
        (packages / path).chmod(mode)
    return packages


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "runtime"
    folder.mkdir()
    return folder


def test_the_installed_server_is_there_and_is_used_where_it_lies(runtime: Path) -> None:
    binaries = binaries_for(Account(), installed(), runtime)

    assert (binaries / BINARY).stat().st_mode & 0o111
    assert not list(runtime.iterdir())


def test_a_copy_that_everybody_may_run_is_made_where_the_account_cannot_go(
    packages: Path, runtime: Path
) -> None:
    binaries = binaries_for(Outsider(), packages, runtime)

    assert (binaries / BINARY).stat().st_mode & 0o555 == 0o555
    libraries = binaries.parents[1] / f"{PACKAGE}.libs"
    assert (libraries / "libpq.so").stat().st_mode & 0o444 == 0o444
    assert all(folder.stat().st_mode & 0o555 == 0o555 for folder in (libraries, *binaries.parents[:2]))


def test_what_is_copied_already_is_left_as_it_is(packages: Path, runtime: Path) -> None:
    first = binaries_for(Outsider(), packages, runtime)
    (packages / SERVER / BINARY).unlink()

    assert binaries_for(Outsider(), packages, runtime) == first
    assert (first / BINARY).exists()


def test_an_interrupted_copy_is_not_taken_for_a_whole_one(packages: Path, runtime: Path) -> None:
    hidden = packages.with_name("elsewhere")
    (packages / f"{PACKAGE}.libs").rename(hidden)

    with pytest.raises(FileNotFoundError):
        binaries_for(Outsider(), packages, runtime)

    hidden.rename(packages / f"{PACKAGE}.libs")
    binaries = binaries_for(Outsider(), packages, runtime)
    assert (binaries.parents[1] / f"{PACKAGE}.libs" / "libpq.so").exists()


def test_a_missing_wheel_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_binaries, "find_spec", lambda _name: None)

    with pytest.raises(LocalStackError, match="is not installed beside this Python: run `make local`"):
        installed()
