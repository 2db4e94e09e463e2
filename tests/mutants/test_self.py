"""The testers of the tests are tested: known defects are caught, a harmless change is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.defects import Defect, DoesNotApply, Edit, defective, listed
from tests.mutants.layers import Layer
from tests.mutants.listed import Baselines, Tried, try_one
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


def test_a_defect_leaves_the_tree_as_it_was_and_the_work_tree_alone(tree: Path) -> None:
    path = tree / HARMLESS.file
    before = path.stat(), path.read_text(encoding="utf-8")
    with defective(HARMLESS, tree):
        assert "bool(renewal.delayed)" in path.read_text(encoding="utf-8")
        assert path.stat().st_mtime_ns != before[0].st_mtime_ns
    assert (path.stat().st_mtime_ns, path.read_text(encoding="utf-8")) == (before[0].st_mtime_ns, before[1])
    with pytest.raises(DoesNotApply), defective(HARMLESS._replace(edits=(Edit("nowhere", "x"),)), tree):
        raise AssertionError("it was applied")
