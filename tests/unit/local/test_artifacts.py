"""No artifact is used unless it is the one in the lock."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.artifacts import (
    LOCK_FILE,
    PARALLEL_DOWNLOADS,
    TRIES,
    Artifact,
    Fetch,
    Progress,
    Source,
    locked,
    maven_cache,
    partial_path,
    this_platform,
)
from deploy.local.errors import DownloadError

CONTENT = b"the real jar"


def artifact_of(content: bytes, name: str = "kafka_2.13") -> Artifact:
    digest = hashlib.sha256(content).hexdigest()
    return Artifact("org.apache.kafka", name, "4.4.0", "", "jar", "any", len(content), digest)


class Repository:
    """A source whose answers are scripted: bytes to serve, or an error to raise after half of them."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, artifact: Artifact, folder: Path, received: Callable[[int], None]) -> Path:
        self.asked += 1
        answer = self.answers.pop(0)
        path = artifact.path_in(folder)
        path.parent.mkdir(parents=True)
        if isinstance(answer, Exception):
            path.write_bytes(CONTENT[: len(CONTENT) // 2])
            raise answer
        path.write_bytes(answer)
        received(len(answer))
        return path


class Notes(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.received_bytes = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, received_bytes: int) -> None:
        self.received_bytes += received_bytes


def fetch_one(tmp_path: Path, source: Source, progress: Progress | None = None) -> Path:
    run = Fetch(tmp_path / "cache", tmp_path / "staging", source=source, progress=progress)
    return run([artifact_of(CONTENT)])[0]


def cached(tmp_path: Path, content: bytes) -> Path:
    path = artifact_of(CONTENT).path_in(tmp_path / "cache")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_what_is_cached_and_right_needs_no_repository(tmp_path: Path) -> None:
    path = cached(tmp_path, CONTENT)
    repository = Repository()

    assert fetch_one(tmp_path, repository) == path
    assert repository.asked == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (CONTENT[:5], "has 5 bytes instead of 12"),
        (b"the fake jar", "does not have the sha256 of the lock"),
        (b"", "has 0 bytes instead of 12"),
    ],
    ids=["truncated", "altered", "empty"],
)
def test_a_corrupted_file_in_the_cache_is_refused_and_repaired(
    tmp_path: Path, wrong: bytes, reason: str
) -> None:
    cached(tmp_path, wrong)
    notes = Notes()

    path = fetch_one(tmp_path, Repository(CONTENT), notes)

    assert path.read_bytes() == CONTENT
    assert reason in notes.notes[0]
    assert "downloaded again" in notes.notes[0]


def test_what_an_interrupted_copy_left_is_removed_and_told(tmp_path: Path) -> None:
    path = cached(tmp_path, CONTENT)
    partial_path(path).write_bytes(CONTENT[:3])
    notes = Notes()

    fetch_one(tmp_path, Repository(), notes)

    assert not partial_path(path).exists()
    assert "interrupted" in notes.notes[0]


def test_what_an_interrupted_download_left_is_not_used(tmp_path: Path) -> None:
    left = tmp_path / "staging" / "half" / "kafka.jar"
    left.parent.mkdir(parents=True)
    left.write_bytes(CONTENT[:3])

    assert fetch_one(tmp_path, Repository(CONTENT)).read_bytes() == CONTENT
    assert not left.exists()


def test_a_download_that_breaks_off_is_tried_again_and_counted_once(tmp_path: Path) -> None:
    notes = Notes()

    path = fetch_one(tmp_path, Repository(OSError("reset"), CONTENT), notes)

    assert path.read_bytes() == CONTENT
    assert notes.received_bytes == len(CONTENT)
    assert "trying again" in notes.notes[0]


def test_a_download_that_is_always_wrong_is_never_used(tmp_path: Path) -> None:
    repository = Repository(*[b"the evil jar"] * TRIES)

    with pytest.raises(DownloadError, match="does not have the sha256 of the lock") as refused:
        fetch_one(tmp_path, repository)

    assert "\n" not in str(refused.value)
    assert repository.asked == TRIES
    assert [path for path in tmp_path.rglob("*.jar*") if path.is_file()] == []


def test_a_newcomer_without_network_gets_one_clear_line(tmp_path: Path) -> None:
    repository = Repository(*[ConnectionError("no route to host")] * TRIES)
    notes = Notes()

    with pytest.raises(DownloadError, match="there is no network: connect once") as refused:
        fetch_one(tmp_path, repository, notes)

    assert "\n" not in str(refused.value)
    assert notes.notes == []


def test_an_error_in_one_download_ends_the_others(tmp_path: Path) -> None:
    right = artifact_of(CONTENT)
    missing = artifact_of(b"missing", "missing")
    stopped = threading.Event()

    def source(artifact: Artifact, folder: Path, received: Callable[[int], None]) -> Path:
        if artifact is missing:
            raise DownloadError("missing was not found.")
        deadline = threading.Event()
        for _ in range(2000):
            try:
                received(0)
            except DownloadError:
                stopped.set()
                raise
            deadline.wait(0.005)
        raise AssertionError("nobody stopped this download")

    run = Fetch(tmp_path / "cache", tmp_path / "staging", source=source)
    with pytest.raises(DownloadError, match="missing was not found"):
        run([right, missing])

    assert stopped.is_set()


def test_downloads_run_side_by_side_and_never_more_than_the_bound(tmp_path: Path) -> None:
    contents = [f"jar {n}".encode() for n in range(3 * PARALLEL_DOWNLOADS)]
    artifacts = [artifact_of(content, f"jar-{n}") for n, content in enumerate(contents)]
    by_name = {artifact.artifact: content for artifact, content in zip(artifacts, contents, strict=True)}
    together = threading.Barrier(PARALLEL_DOWNLOADS)
    lock = threading.Lock()
    now, most = 0, 0

    def source(artifact: Artifact, folder: Path, received: Callable[[int], None]) -> Path:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(timeout=10)
        with lock:
            now -= 1
        path = artifact.path_in(folder)
        path.parent.mkdir(parents=True)
        path.write_bytes(by_name[artifact.artifact])
        return path

    paths = Fetch(tmp_path / "cache", tmp_path / "staging", source=source)(artifacts)

    assert [path.read_bytes() for path in paths] == contents
    assert most == PARALLEL_DOWNLOADS


def test_two_stacks_that_start_at_once_with_one_cache_download_once(tmp_path: Path) -> None:
    first_is_copying, second_runs = threading.Event(), threading.Event()
    repository = Repository(CONTENT)

    def slow(artifact: Artifact, folder: Path, received: Callable[[int], None]) -> Path:
        partial_path(artifact.path_in(tmp_path / "cache")).parent.mkdir(parents=True)
        partial_path(artifact.path_in(tmp_path / "cache")).write_bytes(CONTENT[:3])
        first_is_copying.set()
        assert second_runs.wait(timeout=10)
        return repository(artifact, folder, received)

    notes = Notes()
    with ThreadPoolExecutor(2) as stacks:
        first = stacks.submit(fetch_one, tmp_path, slow)
        assert first_is_copying.wait(timeout=10)
        cache, staging = tmp_path / "cache", tmp_path / "other" / "staging"
        second = stacks.submit(
            Fetch(cache, staging, source=repository, progress=notes), [artifact_of(CONTENT)]
        )
        second_runs.set()
        assert first.result(timeout=10) == second.result(timeout=10)[0]
    assert (repository.asked, notes.notes) == (1, []), "nothing was taken for interrupted"


@pytest.mark.parametrize("platform", ["linux-x86_64", "linux-aarch64"])
def test_the_lock_holds_kafka_for_each_platform(platform: str) -> None:
    assert "kafka_2.13-4.4.0.jar" in {artifact.filename for artifact in locked("kafka", platform)}


def test_another_platform_is_told_what_to_do(tmp_path: Path) -> None:
    lock = tmp_path / "artifacts.lock.json"
    native = {"coordinate": "a:b:1:jar", "platform": "linux-x86_64", "size": 1, "sha256": "0" * 64}
    lock.write_text(json.dumps({"kafka": [native]}))

    with pytest.raises(DownloadError, match=r"no kafka for plan9-mips .* use Linux on x86_64 or aarch64"):
        locked("kafka", "plan9-mips", lock)


def test_the_lock_records_no_download_addresses() -> None:
    text = LOCK_FILE.read_text()
    lines = [line for part in json.loads(text).values() for line in part]

    assert "://" not in text
    assert all(line.keys() == {"coordinate", "platform", "size", "sha256"} for line in lines)


def test_this_platform_is_spelled_as_in_the_lock() -> None:
    assert this_platform() in {"linux-x86_64", "linux-aarch64"}


def test_a_maven_cache_that_cannot_be_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M2_REPO", "/proc/nowhere")

    assert maven_cache(fallback=tmp_path) == tmp_path
