"""The list of deliberate defects is whole: each applies to the source as it is now."""

import ast

import pytest

from tests.mutants.defects import ROOT, Defect, DoesNotApply, Edit, listed


@pytest.mark.parametrize("defect", listed(), ids=lambda defect: defect.name)
def test_every_defect_applies_exactly_once_and_can_be_read(defect: Defect) -> None:
    before = (ROOT / defect.file).read_text(encoding="utf-8")
    after = defect.applied_to(before)
    assert after != before
    if defect.file.endswith(".py"):
        ast.parse(after)


def test_the_list_is_long_enough_and_every_name_is_its_own() -> None:
    names = [defect.name for defect in listed()]
    assert len(names) >= 30
    assert len(set(names)) == len(names)


def test_every_promise_is_broken_by_some_defect_and_no_other_is_named() -> None:
    assert {defect.promise for defect in listed()} == set(range(1, 8))


def test_a_defect_whose_text_has_changed_fails_loudly() -> None:
    gone = Defect("gone", 1, "nothing", "services/__main__.py", (Edit("not in there", "anything"),))
    with pytest.raises(DoesNotApply, match="stands 0 times"):
        gone.applied_to("some text")
    twice = gone._replace(edits=(Edit("once", "never"),))
    with pytest.raises(DoesNotApply, match="stands 2 times"):
        twice.applied_to("once, and once more")
