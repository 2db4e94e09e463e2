"""Maven artifacts of our own lock: fetched in parallel, and never used unless size and sha256 match.

The user's Maven cache is shared with Maven and jgo. A download is written to a folder of ours, verified,
and only then moved into the cache in one step, so nobody ever sees half a file there; a file in the cache
that does not match the lock (an interrupted Maven, a bad disk) is deleted and fetched again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import DownloadError
from deploy.local.run_lock import exclusive

LOCK_FILE = Path(__file__).with_name("artifacts.lock.json")
PARALLEL_DOWNLOADS = 8
TRIES = 3
TIMEOUT_SECONDS = 20
WAIT_SECONDS = 900
"""How long another run on the same cache may take."""
LOCK = "recarga.lock"
CHUNK_BYTES = 1 << 20
NO_CONNECTION = "no connection"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One line of the lock. `platform` is `any` or like `linux-x86_64`."""

    group: str
    artifact: str
    version: str
    classifier: str
    packaging: str
    platform: str
    size_bytes: int
    sha256: str

    @property
    def coordinate(self) -> str:
        parts = [self.group, self.artifact, self.version, self.classifier, self.packaging]
        return ":".join(part for part in parts if part)

    @property
    def filename(self) -> str:
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{suffix}.{self.packaging}"

    def path_in(self, cache: Path) -> Path:
        """Where a Maven cache keeps this file."""
        return cache.joinpath(*self.group.split("."), self.artifact, self.version, self.filename)


def parse_coordinate(coordinate: str) -> tuple[str, str, str, str, str]:
    """`group:artifact:version[:classifier]:packaging` into its five parts (classifier may be empty)."""
    parts = coordinate.split(":")
    if len(parts) == 4:
        parts.insert(3, "")
    if len(parts) != 5:
        raise ValueError(f"{coordinate!r} is not group:artifact:version[:classifier]:packaging")
    group, artifact, version, classifier, packaging = parts
    return group, artifact, version, classifier, packaging


def this_platform() -> str:
    """The platform in the lock's spelling, such as `linux-x86_64`."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    return f"{platform.system().lower()}-{machine}"


def locked(part: str, on: str | None = None, lock_file: Path = LOCK_FILE) -> list[Artifact]:
    """The artifacts of one part (`kafka`) for a platform.

    Raises DownloadError where the lock has none.
    """
    wanted = on or this_platform()
    lines = json.loads(lock_file.read_text())[part]
    found = [
        Artifact(
            *parse_coordinate(line["coordinate"]),
            platform=line["platform"],
            size_bytes=line["size"],
            sha256=line["sha256"],
        )
        for line in lines
        if line["platform"] in ("any", wanted)
    ]
    if not found:
        raise DownloadError(
            f"There is no {part} for {wanted} in {lock_file.name}: use Linux on x86_64 or aarch64."
        )
    return found


def maven_cache(fallback: Path) -> Path:
    """The user's Maven cache as jgo sees it, or `fallback` where that cannot be written."""
    from jgo.config import GlobalSettings

    cache = Path(GlobalSettings.load().repo_cache).expanduser()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return fallback
    return cache if os.access(cache, os.W_OK | os.X_OK) else fallback


def problem_with(artifact: Artifact, path: Path) -> str | None:
    """Why the file may not be used, or None when its size and sha256 are the lock's."""
    if not path.exists():
        return "is missing"
    size = path.stat().st_size
    if size != artifact.size_bytes:
        return f"has {size:,} bytes instead of {artifact.size_bytes:,}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return None if digest == artifact.sha256 else "does not have the sha256 of the lock"


def partial_path(path: Path) -> Path:
    """The name a file has in the cache while it is being copied there."""
    return path.with_name(path.name + ".part")


class Progress:
    """What a fetch tells while it runs; the default is silent. Called from several threads."""

    def begin(self, total_bytes: int, files: int) -> None:
        """A download of so many bytes in so many files begins."""

    def advance(self, received_bytes: int) -> None:
        """More bytes arrived (negative: a file is fetched again)."""

    def note(self, text: str) -> None:
        """Something the user should know, such as a refused file."""


# Downloads one artifact into a folder laid out like a Maven cache, returns the file, may raise anything.
Source = Callable[[Artifact, Path, Callable[[int], None]], Path]


def from_maven(artifact: Artifact, folder: Path, received: Callable[[int], None]) -> Path:
    """Downloads with jgo, which knows the repository, into `folder`."""
    from jgo.maven import MavenContext, PythonResolver

    @contextmanager
    def counting(_filename: str, _total_bytes: int) -> Iterator[Callable[[int], None]]:
        yield received

    context = MavenContext(
        resolver=PythonResolver(progress_callback=counting), repo_cache=folder, timeout=TIMEOUT_SECONDS
    )
    component = context.project(artifact.group, artifact.artifact).at_version(artifact.version)
    path = context.resolver.download(component.artifact(artifact.classifier, artifact.packaging))
    if path is None:
        raise DownloadError(f"{artifact.coordinate} was not found.")
    return Path(path)


class Fetch:
    """One run over a list of artifacts: verify what is cached, download the rest, at most 8 at a time."""

    def __init__(
        self,
        cache: Path,
        staging: Path,
        *,
        source: Source = from_maven,
        progress: Progress | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.cache = cache
        self.staging = staging
        self.source = source
        self.progress = progress or Progress()
        self._cancelled = cancelled or threading.Event()

    def __call__(self, artifacts: Sequence[Artifact]) -> list[Path]:
        """Returns the verified files in the order of `artifacts`. Raises DownloadError, one clear line."""
        # One run per cache: to another what this one is copying there would look like an interrupted copy.
        with exclusive(self.cache / LOCK, deadline=time.monotonic() + WAIT_SECONDS):
            with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as threads:
                problems = list(threads.map(self._check_cached, artifacts))
            missing = [artifact for artifact, problem in zip(artifacts, problems, strict=True) if problem]
            if missing:
                self._download_all(missing)
        return [artifact.path_in(self.cache) for artifact in artifacts]

    def _check_cached(self, artifact: Artifact) -> str | None:
        path = artifact.path_in(self.cache)
        if partial_path(path).exists():
            self.progress.note(f"Removed {partial_path(path).name}: a download was interrupted.")
            partial_path(path).unlink(missing_ok=True)
        problem = problem_with(artifact, path)
        if problem and path.exists():
            self.progress.note(
                f"Refused {path.name} in the Maven cache: it {problem}. It is downloaded again."
            )
            path.unlink()
        return problem

    def _download_all(self, artifacts: Sequence[Artifact]) -> None:
        shutil.rmtree(self.staging, ignore_errors=True)  # whatever an interrupted fetch left
        self.progress.begin(sum(artifact.size_bytes for artifact in artifacts), len(artifacts))
        largest_first = sorted(artifacts, key=lambda artifact: -artifact.size_bytes)
        threads = ThreadPoolExecutor(PARALLEL_DOWNLOADS, thread_name_prefix="download")
        try:
            waiting = [threads.submit(self._download, artifact) for artifact in largest_first]
            for finished in as_completed(waiting):
                finished.result()
        finally:
            self._cancelled.set()
            threads.shutdown(wait=True, cancel_futures=True)
            shutil.rmtree(self.staging, ignore_errors=True)

    def _download(self, artifact: Artifact) -> None:
        for attempt in range(1, TRIES + 1):
            folder = self.staging / f"{artifact.sha256[:16]}-{attempt}"
            received = 0

            def count(size: int) -> None:
                nonlocal received
                if self._cancelled.is_set():
                    raise DownloadError("The download was interrupted.")
                received += size
                self.progress.advance(size)

            try:
                path = self.source(artifact, folder, count)
                problem = problem_with(artifact, path)
            except DownloadError:
                raise
            except Exception as error:
                problem = f"could not be downloaded ({_reason(error)})"
            if problem is None:
                self.progress.advance(artifact.size_bytes - received)
                self._move_into_cache(artifact, path)
                return
            self.progress.advance(-received)
            shutil.rmtree(folder, ignore_errors=True)
            if attempt == TRIES or self._cancelled.wait(0.5 * attempt):
                raise DownloadError(_give_up(artifact, problem))
            if NO_CONNECTION not in problem:  # without a network every file would say so
                self.progress.note(f"{artifact.filename} {problem}: trying again.")

    def _move_into_cache(self, artifact: Artifact, path: Path) -> None:
        """Copy beside the target, then rename: the cache may be on another file system than our folder."""
        target = artifact.path_in(self.cache)
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as source, partial_path(target).open("wb") as copy:
            shutil.copyfileobj(source, copy, CHUNK_BYTES)
            copy.flush()
            os.fsync(copy.fileno())
        partial_path(target).replace(target)


def _reason(error: Exception) -> str:
    name = type(error).__name__
    return NO_CONNECTION if "Connection" in name or "Timeout" in name else f"{name}: {str(error)[:200]}"


def _give_up(artifact: Artifact, problem: str) -> str:
    if NO_CONNECTION in problem:
        return (
            "Kafka is not downloaded yet and there is no network: connect once and run "
            f"the command again ({artifact.filename} {problem})."
        )
    return f"{artifact.coordinate} {problem}, {TRIES} times: nothing was used. Run the command again."


def quiet_download_logs() -> None:
    """jgo and urllib3 warn about each retry in their own words; ours are enough."""
    for name in ("jgo", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


def fetch_kafka(
    home: Path, progress: Progress | None = None, cancelled: threading.Event | None = None
) -> list[Path]:
    """Kafka's verified files, downloaded where needed.

    Setting `cancelled` from another thread ends the downloads. Raises DownloadError. Blocking: call it from
    a thread inside asyncio.
    """
    quiet_download_logs()
    artifacts = locked("kafka")
    cache = maven_cache(fallback=home / "maven")
    return Fetch(cache, home / "downloads", progress=progress, cancelled=cancelled)(artifacts)
