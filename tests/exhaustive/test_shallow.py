"""The search in seconds: every case with one deviation, some with two. Mutants are shown to this.

Nothing found out by one test is kept for another: with a mutant it may be wrong.
"""

import time

import pytest

from tests.exhaustive.case import Case
from tests.exhaustive.cases import CASES
from tests.exhaustive.search import Search

# A mutant may open a space without end.
MOST_STATES = 80_000
MOST_SECONDS = 120.0
WITH_TWO = ("found later",)
"""Money is found after PaymentCancelled only where two things have gone wrong."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_promise_holds_with_one_deviation(case: Case) -> None:
    shallow = case.deeper((2 if case.name in WITH_TWO else 1) - case.deviations)
    result = Search(shallow, states=MOST_STATES, until=time.monotonic() + MOST_SECONDS).run()
    assert result.broken is None, "\n".join([str(result.broken), *result.path])
    assert result.is_complete
    assert result.ended > 0
