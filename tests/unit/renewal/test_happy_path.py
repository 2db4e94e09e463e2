"""From `requested` to `completed` with no command, in any order and with repeats."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.renewals import RenewalCompleted
from tests.unit.renewal.story import PRICE, Says, new

says = Says()


def test_a_renewal_that_goes_well_needs_no_word_from_the_saga_but_the_last() -> None:
    story = new().when(says.priced(), says.captured(), says.applied())
    assert story.state == "completed"
    [completed] = story.said
    assert isinstance(completed, RenewalCompleted)
    assert (completed.amount_minor, completed.cycle) == (PRICE, 4)
    assert [(entry.message, entry.from_state, entry.to_state) for entry in story.history] == [
        ("RenewalPriced", "requested", "priced"),
        ("PaymentCaptured", "priced", "captured"),
        ("TopUpApplied", "captured", "completed"),
    ]
    assert [entry.version for entry in story.history] == [2, 3, 4]


def test_the_happy_path_never_moves_the_timer() -> None:
    story = new()
    due_at = story.renewal.next_due_at
    story.when(says.priced(), says.captured())
    assert story.renewal.next_due_at == due_at


@pytest.mark.parametrize("order", list(permutations(("priced", "captured", "applied"))), ids="-".join)
def test_any_order_of_the_happy_facts_completes(order: tuple[str, ...]) -> None:
    story = new().when(*(getattr(says, name)() for name in order))
    assert story.state == "completed"
    assert len(story.told(RenewalCompleted)) == 1
    assert len(story.said) == 1
    assert story.renewal.amount_minor == PRICE


@given(st.lists(st.sampled_from(("priced", "captured", "applied")), max_size=8), st.permutations(range(3)))
@settings(max_examples=200, deadline=None)
def test_repeats_in_any_order_change_nothing_about_the_end(repeats: list[str], order: list[int]) -> None:
    names = ["priced", "captured", "applied"]
    story = new().when(*(getattr(says, name)() for name in repeats))
    story.when(*(getattr(says, names[place])() for place in order))
    story.when(*(getattr(says, name)() for name in repeats))
    assert story.state == "completed"
    assert [type(message) for message in story.said] == [RenewalCompleted]
    assert story.renewal.captured_at is not None
