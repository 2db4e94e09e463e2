"""The search in small: every case with fewer deviations, what it must reach, and the defects it must find.

`make exhaustive` explores every case to its end.
"""

import time
from functools import cache

import pytest

from services.payment.domain.payment import State as PaymentState
from services.provisioning.topups.domain.instructions import APPLY
from services.renewal.domain.renewal import STATES
from services.renewal.domain.saga import MATRIX
from tests.exhaustive.case import Case
from tests.exhaustive.cases import CASES
from tests.exhaustive.defects import DEFECTS, Defect
from tests.exhaustive.letters import READERS
from tests.exhaustive.search import Found, Search

pytestmark = pytest.mark.xdist_group("exhaustive")  # what one test has searched the others look at

WITH_TWO = ("once each", "every outcome", "by hand")
"""Cases that are explored with two deviations here. All others with one."""
LEAST_STATES = 450_000
LEAST_CELLS = 125
"""Of the saga's matrix. Those never entered are contradictions that cannot arise, or need more deviations."""
# A defect may open a space without end: that is a failure, too, but not of the machine.
MOST_STATES = 800_000
MOST_SECONDS = 240.0


@cache
def found(case: Case) -> Found:
    """The case in small."""
    return search(case.deeper((2 if case.name in WITH_TWO else 1) - case.deviations))


def search(case: Case) -> Found:
    return Search(case, states=MOST_STATES, until=time.monotonic() + MOST_SECONDS).run()


def all_found() -> list[Found]:
    return [found(case) for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_promise_holds_in_every_state_and_every_state_can_still_end(case: Case) -> None:
    result = found(case)
    assert result.broken is None, "\n".join([str(result.broken), *result.path])
    assert result.is_complete
    assert result.ended > 0


def test_the_search_sees_as_much_as_it_used_to() -> None:
    assert sum(result.states for result in all_found()) >= LEAST_STATES
    assert len(set[tuple[str, str]]().union(*(result.cells for result in all_found()))) >= LEAST_CELLS


def test_every_message_timer_and_action_occurs() -> None:
    occurred = set[str]().union(*(result.kinds for result in all_found()))
    wanted = {kind.__name__ for kind in MATRIX} | {
        kind.__name__ for kinds in READERS.values() for kind in kinds
    }
    assert wanted <= occurred, wanted - occurred


@pytest.mark.parametrize(
    ("whose", "states"), [("renewal", STATES), ("payment", tuple(PaymentState)), ("top-up", tuple(APPLY))]
)
def test_every_state_is_reached(whose: str, states: tuple[str, ...]) -> None:
    reached = set[str]().union(*(result.states_of[whose] for result in all_found()))
    assert set(map(str, states)) == reached


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_deliberate_defect_breaks_a_promise(defect: Defect) -> None:
    with defect.made():
        result = search(defect.case)
    assert result.broken is not None
    assert defect.broken in result.broken
    assert result.path, "a broken promise is told step by step"


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_without_the_defect_the_same_search_finds_nothing(defect: Defect) -> None:
    assert search(defect.case).broken is None
