"""The testers of the tests are tested: known defects are caught, a harmless change is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.defects import Defect, DoesNotApply, Edit, defective, listed
from tests.mutants.layers import Layer
from tests.mutants.listed import Baselines, Tried, try_one
from tests.mutants.noticed import Noticed
from tests.mutants.trees import private_copies

HARMLESS = Defect(
    "harmless",
    3,
    "nothing: the same in other words",
    "services/renewal/domain/time_rules.py",
    (Edit("""    if renewal.delayed:\n""", """    if bool(renewal.delayed):\n"""),),
)
GIVING_UP: tuple[str, ...] = tuple(
    f"tests/unit/{{area}}/test_{part}.py" for part in ("giving_up", "silence", "top_up_fails")
)
QUICK = (Layer("unit", GIVING_UP, None, 60),)
"""A few files of one service, so that this takes seconds."""


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    with private_copies(1) as (copy,):
        yield copy


@pytest.fixture(scope="module")
def baselines() -> Baselines:
    return Baselines()


@pytest.mark.parametrize(
    "name",
    [
        "refund-before-top-up-cancelled",
        "silence-is-not-asked-into",
        "silence-raises-the-attempt",
    ],
)
def test_a_listed_defect_is_caught(name: str, tree: Path, baselines: Baselines) -> None:
    tried = Tried(next(defect for defect in listed() if defect.name == name))
    try_one(tried, tree, ["unit"], baselines, QUICK)
    assert tried.caught_by == ["unit"]
    assert "::test_" in tried.said["unit"].test


def test_a_harmless_change_is_not_caught(tree: Path, baselines: Baselines) -> None:
    tried = Tried(HARMLESS)
    try_one(tried, tree, ["unit"], baselines, QUICK)
    assert tried.caught_by == []
    assert "unit" in tried.said


def test_who_noticed_a_defect_before_is_asked_first_and_alone(tree: Path, baselines: Baselines) -> None:
    defect = next(defect for defect in listed() if defect.name == "silence-raises-the-attempt")
    first = Tried(defect)
    try_one(first, tree, ["unit"], baselines, QUICK)
    before = Noticed("unit", first.said["unit"].test)
    again = Tried(defect)
    try_one(again, tree, ["unit"], Baselines(), QUICK, before)
    assert again.said["unit"].test == before.test


@pytest.mark.parametrize(
    "test", ["tests/unit/renewal/test_silence.py::test_of_another_name", "nowhere.py::test"]
)
def test_where_the_test_of_before_is_gone_all_are_asked(tree: Path, baselines: Baselines, test: str) -> None:
    tried = Tried(next(defect for defect in listed() if defect.name == "silence-raises-the-attempt"))
    try_one(tried, tree, ["unit"], baselines, QUICK, Noticed("unit", test))
    assert tried.caught_by == ["unit"]


def test_a_test_that_fails_without_the_defect_has_noticed_nothing(tree: Path, baselines: Baselines) -> None:
    broken = tree / "tests" / "unit" / "renewal" / "test_broken.py"
    broken.write_text("def test_it() -> None:\n    raise AssertionError\n")
    tried = Tried(HARMLESS)
    before = Noticed("unit", "tests/unit/renewal/test_broken.py::test_it")
    try_one(tried, tree, ["unit"], baselines, QUICK, before)
    broken.unlink()
    assert tried.caught_by == []


def test_a_defect_leaves_the_tree_as_it_was_and_the_work_tree_alone(tree: Path) -> None:
    path = tree / HARMLESS.file
    before = path.stat(), path.read_text(encoding="utf-8")
    with defective(HARMLESS, tree):
        assert "bool(renewal.delayed)" in path.read_text(encoding="utf-8")
        assert path.stat().st_mtime_ns != before[0].st_mtime_ns
    assert (path.stat().st_mtime_ns, path.read_text(encoding="utf-8")) == (before[0].st_mtime_ns, before[1])
    with pytest.raises(DoesNotApply), defective(HARMLESS._replace(edits=(Edit("nowhere", "x"),)), tree):
        raise AssertionError("it was applied")
