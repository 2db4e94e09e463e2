"""Surplus that goes back in parts and comes back: all of it goes in the end, and that is said once."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payment.domain.calls import call_of
from services.payment.domain.outcome import Kind, Outcome
from services.payment.domain.payment import Operation
from shared.contracts.payments import SurplusRefunded
from tests.unit.payment.story import PRICE, RENEWAL, Story, balances, captured
from tests.unit.payment.test_outages import Recorded, answer, call, calls_to

FOUND = {"pi_2": 900, "pi_3": 600}
PART = 300


class Psp:
    """What the PSP gave back of which object, by the id of the refund; 0 where it came back."""

    def __init__(self) -> None:
        self.story = captured()
        self.made: dict[str, tuple[str, int]] = {}
        self.failed: set[str] = set()
        self.whole: set[str] = set()
        self.asked: dict[int, tuple[str | None, int]] = {}
        for reference, amount_minor in FOUND.items():
            self.tells(Kind.CAPTURED, reference=reference, amount_minor=amount_minor, currency="USD")

    def left(self, reference: str | None) -> int:
        """What the PSP still holds of that object."""
        gone = [
            part for refund, (of, part) in self.made.items() if of == reference and refund not in self.failed
        ]
        return FOUND[reference or ""] - sum(gone)

    def tells(self, kind: Kind, **given: object) -> None:
        self.story.fact(kind, gateway="sandbox", **given)
        self.look()

    def look(self) -> None:
        """What every call asks for is what it asked for when it began: the key is the same."""
        row = self.story.row
        if row.operation is Operation.SURPLUS:
            call = call_of(row, RENEWAL, None, 0.0)
            reference, _ = self.asked.setdefault(row.ordinal, (call.reference, call.amount_minor))
            assert call.reference == reference, "the call under way is about another object"
        self.whole |= {reference for reference in FOUND if not self.left(reference)}

    def answers(self) -> None:
        """The call under way is made, for what it first asked for, or fails."""
        row = self.story.row
        if row.operation is not Operation.SURPLUS:
            return
        reference, amount_minor = self.asked[row.ordinal]
        if amount_minor > self.left(reference):
            self.story.outcome(Kind.FAILED)
        else:
            refund = f"re_{row.ordinal}"
            self.made[refund] = (reference or "", amount_minor)
            self.story.outcome(Kind.REFUNDED, reference=refund, amount_minor=amount_minor)
        self.look()

    def refunds_by_hand(self, reference: str) -> None:
        if self.left(reference) >= PART:
            refund = f"re_hand_{len(self.made)}"
            self.made[refund] = (reference, PART)
            self.tells_again(refund)

    def tells_again(self, refund: str) -> None:
        """That a refund was made, and also what came of it since."""
        reference, amount_minor = self.made[refund]
        about = {"reference": refund, "object_reference": reference, "amount_minor": amount_minor}
        self.tells(Kind.REFUNDED, **about)
        if refund in self.failed:
            self.tells(Kind.REFUND_RETURNED, **about)

    def fails_unheard(self, reference: str) -> None:
        """A refund is made and comes back, and that is told in the wrong order."""
        refund = f"re_hand_{len(self.made)}"
        self.made[refund] = (reference, PART)
        self.failed.add(refund)
        about = {"reference": refund, "object_reference": reference, "amount_minor": PART}
        self.tells(Kind.REFUND_RETURNED, **about)
        self.tells(Kind.REFUNDED, **about)

    def brings_back(self, refund: str) -> None:
        self.failed.add(refund)
        self.tells_again(refund)


STEPS = st.tuples(st.sampled_from(["answer", "by hand", "comes back", "again", "unheard"]), st.integers(0, 5))


@settings(max_examples=500, deadline=None)
@given(st.lists(STEPS, max_size=20))
def test_all_of_it_goes_back_and_that_is_said_once(steps: list[tuple[str, int]]) -> None:
    psp = Psp()
    for what, choice in steps:
        refund = list(psp.made)[choice % len(psp.made)] if psp.made else None
        match what:
            case "answer":
                psp.answers()
            case "by hand":
                psp.refunds_by_hand(list(FOUND)[choice % 2])
            case "unheard":
                psp.fails_unheard(list(FOUND)[choice % 2])
            case "comes back" if refund is not None:
                psp.brings_back(refund)
            case "again" if refund is not None:
                psp.tells_again(refund)
        agrees(psp)
    for _ in range(4):
        psp.answers()
    agrees(psp)
    assert (psp.story.row.operation, psp.whole) == (None, set(FOUND))


def agrees(psp: Psp) -> None:
    """The row and the books say what the PSP holds, and what went back whole was said."""
    story: Story = psp.story
    assert {one.reference: one.left_minor for one in story.row.surplus} == {
        one: psp.left(one) for one in FOUND
    }
    assert balances(story.transfers)["surplus"] == sum(map(psp.left, FOUND))
    ordinals = {"pi_2": 1, "pi_3": 2}
    said = Counter(message.ordinal for message in story.heard(SurplusRefunded))
    assert said == Counter(ordinals[reference] for reference in psp.whole)


@pytest.mark.parametrize(("told", "counted"), [(600, 600), (None, PRICE), (0, PRICE)])
async def test_a_refund_is_as_large_as_its_psp_says_it_was_made(told: int | None, counted: int) -> None:
    made = {"id": "re_1", "status": "succeeded", "amount_minor": told}
    outcome = await calls_to(Recorded(answer(200, made))).call(call(Operation.SURPLUS))
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.amount_minor) == (Kind.REFUNDED, counted)
