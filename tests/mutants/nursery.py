"""Tries the generated mutants of one service, each in a forked child of a warm pytest.

    this process, before anything of the service is imported
        |-- fork: collects the tests, runs them once, noting which line each one runs
        |         |-- fork: one mutant of a function or of the matrix, and the tests that run its lines
        |-- fork: one mutant of a table: its module is imported with it, the tests are collected anew

So imports and collection are paid once for most mutants. A child runs the quickest tests first and ends with
the first that fails. A mutant that changes nothing goes the same ways: a test that fails with it is a fault
of this nursery, and ends it.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings

from tests.mutants import imports
from tests.mutants import mutant as mutants
from tests.mutants.examples import PROFILE
from tests.mutants.footprints import noted
from tests.mutants.forks import Forks
from tests.mutants.mutant import UNCHANGED, Mutant
from tests.mutants.progress import Progress

TREE: Final = Path.cwd()
SURVIVED: Final = ""
_UNCHANGED: Final = " unchanged"
_ANEW: Final = "its module has to be imported anew"
_MOST_SECONDS: Final = 3600.0
_LEAST_CPU_SECONDS: Final = 3.0
_QUICK_SECONDS: Final = 0.2
_MOST_EXAMPLES: Final = 300
_PATIENCE: Final = 4.0
"""So many times the CPU that a test takes without a mutant, then it counts as failed: it does not end."""


class Found(NamedTuple):
    """What the process found out that has collected the tests. `failed`: a test, without any mutant."""

    failed: str
    killed: dict[str, str]
    seconds: dict[str, float]
    modules: list[str]
    """What else was imported, that knows nothing of the service."""


def files_of(service: str) -> list[str]:
    """The domain of a service, relative to the tree."""
    found = (TREE / "services" / service).rglob("*.py")
    return sorted(str(path.relative_to(TREE)) for path in found if "domain" in path.parts)


def layer_of(nodeid: str) -> str:
    return nodeid.split("/")[1]


class Nursery:
    """The pytest plugin. `killed`: by mutant, the first test that failed with it, or SURVIVED."""

    def __init__(
        self, service: str, at_once: int, wanted: str, explained: frozenset[str], progress: Progress
    ) -> None:
        self._service = service
        self._progress = progress
        self._mutants = [one for one in mutants.generated(files_of(service), TREE) if wanted in one.key]
        self._with_matrix = service == "renewal"
        self._wanted = wanted
        self._explained = explained
        self._at_once = at_once
        self._here: Mutant | None = None
        self._known = Found("", {}, {}, [])
        self._folder = TemporaryDirectory()
        self.killed: dict[str, str] = dict(progress.known)
        self._forks = Forks(at_once, self._answered)

    def _answered(self, key: str, test: str) -> None:
        self.killed[key] = test
        if test != _ANEW and not key.endswith(_UNCHANGED):
            self._progress.note(key, test)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool | None:
        """Nothing of the service is imported yet: fork here for whatever has to import it with a mutant."""
        told = Path(self._folder.name) / "found.json"
        once = Forks(1, lambda *_: None)
        if once.begin("collected", _MOST_SECONDS):
            return None
        once.wait()
        if not told.exists():
            pytest.exit("the tests could not be collected or run", returncode=3)
        self._known = Found(*json.loads(told.read_text()))
        if self._known.failed:
            pytest.exit(f"without any mutant fails {self._known.failed}", returncode=3)
        self.killed.update(self._known.killed)
        imports.import_all(self._known.modules, self._service)
        gc.freeze()  # what is there already is neither looked through nor copied by those who fork
        files = {one.file for one in self._mutants}
        unchanged = [Mutant("table", file, UNCHANGED, "unchanged") for file in sorted(files)[:1]]
        for one in [*unchanged, *self._mutants]:
            if self.killed.get(one.key, _ANEW) == _ANEW and self._forks.begin(one.key, _MOST_SECONDS):
                self._here = one
                sys.meta_path.insert(0, mutants.MutatedImport(one, TREE))
                return None
        self._forks.wait()
        session.items = []
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In a child: the one that has imported a mutant, or the one that forks for each of the others."""
        _with_fewer_examples(session.items)
        if self._here is not None:
            key, broken = self._here.key, bool(session.testsfailed)
            self._forks.answer("collection" if broken else self._first_failure(key, session.items))
        elif session.items:
            found = _Collected(self, session).found()
            (Path(self._folder.name) / "found.json").write_text(json.dumps(found))
            os._exit(0)
        return True

    def _first_failure(self, key: str, items: Iterable[pytest.Item]) -> str:
        """The quickest first. What is explained already is shown the quick ones only."""
        seconds = self._known.seconds
        shown = list(items)
        if key in self._explained:
            shown = [one for one in shown if seconds.get(one.nodeid, 0.0) < _QUICK_SECONDS]
        shown.sort(key=lambda one: _price(one, seconds))
        return first_failure(shown, lambda one: self._bound(one.nodeid))

    def _bound(self, test: str) -> None:
        usual = self._known.seconds.get(test, 0.0)
        self._forks.bound(_LEAST_CPU_SECONDS + _PATIENCE * usual, test)


def _with_fewer_examples(items: Iterable[pytest.Item]) -> None:
    """A property that a mutant breaks is broken soon, or hardly ever; and there are thousands of mutants."""
    for item in items:
        test = getattr(item, "obj", None)
        usual = getattr(test, "_hypothesis_internal_use_settings", None)
        if usual is not None and usual.max_examples > _MOST_EXAMPLES:
            fewer = settings(usual, max_examples=_MOST_EXAMPLES)
            test._hypothesis_internal_use_settings = fewer  # type: ignore[union-attr] # hypothesis has put it there


def _price(item: pytest.Item, seconds: dict[str, float]) -> tuple[bool, float]:
    return layer_of(item.nodeid) != "unit", seconds.get(item.nodeid, 0.0)


def first_failure(items: Sequence[pytest.Item], about_to: Callable[[pytest.Item], None]) -> str:
    """Run the tests in this order until one fails: its id, or SURVIVED."""
    for place, item in enumerate(items):
        about_to(item)
        following = items[place + 1] if place + 1 < len(items) else None
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return item.nodeid
    return SURVIVED


def _nothing(_item: pytest.Item) -> None:
    """Without a mutant every test ends."""


class _Collected:
    """The process in which the tests are collected and everything is imported."""

    def __init__(self, nursery: Nursery, session: pytest.Session) -> None:
        self._nursery = nursery
        self._session = session
        self._seconds: dict[str, float] = {}
        self._passing: dict[tuple[str, int], set[pytest.Item]] = {}
        self._dearer = [one for one in session.items if layer_of(one.nodeid) != "unit"]
        self._killed: dict[str, str] = {}
        self._forks = Forks(nursery._at_once, self._answered)

    def _answered(self, key: str, test: str) -> None:
        self._killed[key] = test
        if test != _ANEW:
            self._nursery._progress.note(key, test)

    def found(self) -> Found:
        """Run everything once, then each mutant that this process can take on."""
        if self._session.testsfailed:
            return Found("the collection", {}, {}, [])
        failed = self._run_once() or self._run_again()
        if failed:
            return Found(failed, {}, {}, [])
        nursery = self._nursery
        known = nursery._known = Found("", self._killed, self._seconds, imports.beside(nursery._service))
        gc.freeze()
        for one in nursery._mutants:
            if one.kind == "function" and one.key not in nursery._progress.known:
                self._try(one, self._passing_by(one))
        if nursery._with_matrix:
            for one in mutants.cells():
                if nursery._wanted in one.key and one.key not in nursery._progress.known:
                    self._try(one, set(self._session.items))
        self._forks.wait()
        return known

    def _run_once(self) -> str:
        """Each test without a mutant: how long it takes and where it passes by; the first that fails."""
        files = {str(TREE / one.file): one.file for one in self._nursery._mutants}
        for item in self._session.items:
            began = time.process_time()
            if item in self._dearer:
                failed = first_failure([item], _nothing)
            else:
                with noted(files) as lines:
                    failed = first_failure([item], _nothing)
                for file, line in lines:
                    self._passing.setdefault((files[file], line), set()).add(item)
            if failed:
                return failed
            self._seconds[item.nodeid] = time.process_time() - began
        return ""

    def _run_again(self) -> str:
        """A test that passes once only would fail in every child, and so seem to notice each mutant."""
        return first_failure([item for item in self._session.items if item not in self._dearer], _nothing)

    def _passing_by(self, one: Mutant) -> set[pytest.Item]:
        lines = range(one.first_line, one.last_line + 1)
        return set().union(*(self._passing.get((one.file, line), ()) for line in lines))

    def _try(self, one: Mutant, items: set[pytest.Item]) -> None:
        if not items:
            self._killed[one.key] = _ANEW  # run at most while its module is imported
            return
        shown = items.union(self._dearer)
        if self._forks.begin(one.key, _MOST_SECONDS):
            if one.kind == "cell":
                mutants.change_cell(one)
            elif not mutants.swap(one, TREE):
                self._forks.answer(_ANEW)
            self._nursery._forks = self._forks
            self._forks.answer(self._nursery._first_failure(one.key, shown))


def bred(
    service: str,
    at_once: int,
    wanted: str,
    explained: frozenset[str],
    progress: Progress,
    dearer: Sequence[str] = (),
) -> dict[str, str]:
    """Try every generated mutant of the service whose key contains `wanted`.

    Raises:
        SystemExit: the tests fail without any mutant.
    """
    nursery = Nursery(service, at_once, wanted, explained, progress)
    tests = [f"tests/unit/{service}", *dearer]
    quiet = ("-p", "no:cacheprovider", "-p", "no:warnings", "-p", "no:schemathesis", "--capture=no")
    arguments = [*quiet, f"--hypothesis-profile={PROFILE}", *tests]
    code = pytest.main(arguments, plugins=[nursery])
    if code == 3:
        raise SystemExit(3)
    for key, test in nursery.killed.items():
        if key.endswith(_UNCHANGED) and test != SURVIVED:
            sys.exit(f"with nothing changed fails {test}: the nursery itself is at fault")
    return {
        key: test for key, test in nursery.killed.items() if wanted in key and not key.endswith(_UNCHANGED)
    }


def main(arguments: Sequence[str]) -> None:
    """`python -m tests.mutants.nursery <service>` in the tree that is to be tried; results as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("service")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--wanted", default="")
    parser.add_argument("--explained", type=Path, help="a JSON list of the survivors that are explained")
    parser.add_argument("--dearer", nargs="*", default=(), help="pure layers beyond the unit tests")
    parser.add_argument("--progress", type=Path, required=True, help="what an interrupted run found out")
    parser.add_argument("--into", type=Path, required=True)
    given: Any = parser.parse_args(arguments)
    explained: frozenset[str] = frozenset(json.loads(given.explained.read_text()) if given.explained else ())
    progress = Progress(given.progress)
    killed = bred(given.service, given.at_once, given.wanted, explained, progress, given.dearer)
    given.into.write_text(json.dumps(killed))


if __name__ == "__main__":
    main(sys.argv[1:])
