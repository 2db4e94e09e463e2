"""Tries the listed defects, each in a private copy of the tree, layer by layer."""

import asyncio
import json
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.local.ports import Ports
from deploy.local.stack import Stack
from tests.conftest import UNSAFE_AND_FAST, readable_folder
from tests.mutants.defects import Defect, defective, listed
from tests.mutants.layers import LAYERS, CannotTell, Layer, Name, Verdict, area_of, verdict
from tests.mutants.noticed import Noticed
from tests.mutants.progress import Progress, hash_of, path_of
from tests.mutants.trees import private_copies

PROMISES: Final[frozenset[Name]] = frozenset({"exhaustive", "simulation", "integration", "acceptance"})
"""Layers that fail because a promise is broken. A unit test may fail because a word has changed."""


@dataclass
class Tried:
    """One defect, and what each layer that was asked said of it, in that order."""

    defect: Defect
    said: dict[Name, Verdict] = field(default_factory=dict)
    trouble: str = ""
    """Why nothing could be learned, where that is so."""

    @property
    def caught_by(self) -> list[Name]:
        return [name for name, verdict in self.said.items() if verdict.test]

    @property
    def is_settled(self) -> bool:
        """Whether a layer caught it that watches a promise."""
        return any(name in PROMISES for name in self.caught_by)


class Baselines:
    """What each layer says of each area without any defect: it must pass, or it proves nothing."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        self._said: dict[tuple[str, ...], Verdict] = {}
        self._guard = threading.Lock()

    def check(self, layer: Layer, tests: list[str], tree: Path) -> None:
        """Run them once in a tree without a defect, whoever asks first.

        Raises:
            CannotTell: they fail as it is.
        """
        key = tuple(tests)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._said:
                self._said[key] = _again(verdict(tests, tree, layer), tree, layer)
            said = self._said[key]
        if said.test:
            raise CannotTell(f"without any defect fails {said.test}: {said.why}")


def try_all(
    defects: Sequence[Defect],
    layers: Sequence[Name],
    at_once: int,
    tell: Callable[[Tried], None],
    before: Mapping[str, Noticed],
) -> list[Tried]:
    """Every defect until a layer that watches promises has caught it, `at_once` of them at a time.

    Who noticed a defect `before` is asked first.
    """
    waiting: queue.SimpleQueue[Defect] = queue.SimpleQueue()
    for defect in defects:
        waiting.put(defect)
    done: dict[str, Tried] = {}
    baselines = Baselines()
    with private_copies(at_once) as trees, servers("integration" in layers):
        known = Known(defects, layers, trees[0])
        workers = [
            threading.Thread(target=_work, args=(waiting, tree, layers, baselines, known, done, tell, before))
            for tree in trees
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if len(defects) == len(listed()):
        known.forget()
    return [done[defect.name] for defect in defects]


def _work(
    waiting: "queue.SimpleQueue[Defect]",
    tree: Path,
    layers: Sequence[Name],
    baselines: Baselines,
    known: "Known",
    done: dict[str, Tried],
    tell: Callable[[Tried], None],
    before: Mapping[str, Noticed],
) -> None:
    while True:
        try:
            defect = waiting.get_nowait()
        except queue.Empty:
            return
        tried = done[defect.name] = Tried(defect, known.said_of(defect))
        try:
            if not tried.said:
                try_one(tried, tree, layers, baselines, before=before.get(defect.name))
                known.note(tried)
        except Exception as error:
            tried.trouble = f"{type(error).__name__}: {error}"
        tell(tried)


class Known:
    """What an interrupted run of these layers has found out, part by part of the tree."""

    def __init__(self, defects: Sequence[Defect], layers: Sequence[Name], tree: Path) -> None:
        # Looked at before any defect is put in.
        self._parts = {
            area: Progress(path_of(f"listed-{area}-{'-'.join(layers)}", tree, _sources(area)))
            for area in {area_of(defect.file) for defect in defects}
        }

    def said_of(self, defect: Defect) -> dict[Name, Verdict]:
        """What each layer said of it then; empty where it was not tried."""
        noted = self._of(defect).known.get(_named(defect), "{}")
        return {layer: Verdict(*verdict) for layer, verdict in json.loads(noted).items()}

    def note(self, tried: Tried) -> None:
        self._of(tried.defect).note(_named(tried.defect), json.dumps(tried.said))

    def forget(self) -> None:
        for part in self._parts.values():
            part.forget()

    def _of(self, defect: Defect) -> Progress:
        return self._parts[area_of(defect.file)]


def _sources(area: str) -> list[str]:
    """What decides who catches a defect of this area."""
    return ["services", "shared", f"tests/unit/{area}", f"tests/integration/{area}", "tests/exhaustive"]


def _named(defect: Defect) -> str:
    """The defect as it is listed now: another text under its name is another one."""
    return f"{defect.name} {hash_of(repr(defect.edits))}"


def try_one(
    tried: Tried,
    tree: Path,
    wanted: Sequence[Name],
    baselines: Baselines,
    layers: Sequence[Layer] = LAYERS,
    before: Noticed | None = None,
) -> None:
    """One defect in this tree, which is as it was afterwards; `wanted` names layers of these.

    Who noticed it `before` is asked first, and alone where it notices again.

    Raises:
        DoesNotApply: the source has changed.
        CannotTell: tests could not be run, or fail without any defect.
    """
    if before is not None and before.layer in wanted and _notices_again(tried, tree, before, layers):
        return
    for layer in layers:
        if layer.name not in wanted or tried.is_settled:
            continue
        if layer.waits and tried.caught_by:
            continue  # as long as a pure layer tells, no servers are troubled
        tests = layer.tests(area_of(tried.defect.file), tree)
        if not tests:
            continue
        baselines.check(layer, tests, tree)
        with defective(tried.defect, tree):
            said = verdict(tests, tree, layer)
        if layer.waits and _again(said, tree, layer).test:
            said = Verdict()  # it fails without the defect as well: that says nothing
        tried.said[layer.name] = said


def _notices_again(tried: Tried, tree: Path, before: Noticed, layers: Sequence[Layer]) -> bool:
    [layer] = [layer for layer in layers if layer.name == before.layer]
    try:
        with defective(tried.defect, tree):
            said = verdict([before.test], tree, layer)
        # It must pass without the defect, or it says nothing.
        if not said.test or verdict([before.test], tree, layer).test:
            return False
    except CannotTell:
        return False  # the test has another name by now, or nothing can be imported
    tried.said[layer.name] = said
    return True


def _again(said: Verdict, tree: Path, layer: Layer) -> Verdict:
    """The test that failed once more, without a defect: what waits for servers may fail by chance."""
    if not layer.waits or "::" not in said.test:
        return said
    return verdict([said.test], tree, layer)


@contextmanager
def servers(wanted: bool) -> Iterator[None]:
    """One Kafka and one PostgreSQL for all integration tests, unless the environment names some."""
    named = {"RECARGA_TEST_KAFKA", "RECARGA_TEST_DATABASE"}
    if not wanted or named <= set(os.environ):
        yield
        return
    ready: queue.SimpleQueue[tuple[str, str] | BaseException] = queue.SimpleQueue()
    over = threading.Event()
    host = threading.Thread(target=lambda: asyncio.run(_host(ready, over)))
    host.start()
    try:
        answer = ready.get()
        if isinstance(answer, BaseException):
            raise answer
        os.environ["RECARGA_TEST_KAFKA"], os.environ["RECARGA_TEST_DATABASE"] = answer
        yield
    finally:
        over.set()
        host.join()
        for name in named:
            os.environ.pop(name, None)


async def _host(ready: "queue.SimpleQueue[tuple[str, str] | BaseException]", over: threading.Event) -> None:
    home = readable_folder()
    try:
        async with Stack(
            home,
            ports=Ports.free(),
            components={"kafka", "postgres"},
            services=(),
            postgres_settings=UNSAFE_AND_FAST,
            on_signals=False,
        ) as running:
            ready.put((running.kafka_bootstrap, running.superuser_url))
            await asyncio.to_thread(over.wait)
    except BaseException as error:
        ready.put(error)
        raise
    finally:
        shutil.rmtree(home, ignore_errors=True)
