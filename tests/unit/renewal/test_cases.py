"""What is closed and still to be looked into: two people find it out through payment, or settle it."""

from collections.abc import Callable
from typing import Any

import pytest

from services.renewal.domain.actions import CustomerCancels, OperatorReleases, OperatorResolves
from services.renewal.domain.renewal import CLOSED_STATES, ClosedState
from services.renewal.operators.domain.filter import cases_of
from shared.contracts.payment_commands import ResolvePayment
from tests.unit.renewal.story import Says, Story, captured, new

says = Says()


def unresolved(*, called_off: bool = False) -> Story:
    """Closed, and payment never learned whether the card was charged."""
    story = new("card-1").when(says.priced(), CustomerCancels("ana") if called_off else says.declined("hard"))
    return story.when(says.payment_cancelled(unresolved=True))


def returned() -> Story:
    """Refunded, and the money came back."""
    return captured().when(says.top_up_rejected(), says.refunded(), says.refund_rejected("refund_returned"))


def resolve(story: Story, found: Any) -> Story:
    return story.when(OperatorResolves("ana", found, approver="ben"))


def release(story: Story, outcome: ClosedState) -> Story:
    return story.when(OperatorReleases("ana", outcome, "paid by bank transfer", approver="ben"))


@pytest.mark.parametrize("called_off", [False, True])
@pytest.mark.parametrize("found", ["captured", "not_captured"])
def test_payment_is_told_what_was_found_out_about_a_capture_that_nobody_knew(
    found: str, called_off: bool
) -> None:
    story = unresolved(called_off=called_off)
    ended_as = story.state
    resolve(story, found)
    [command] = story.told(ResolvePayment)
    assert (command.decision, command.decided_by) == (found, "ana:ben")
    assert (story.history[-1].reason, story.history[-1].detail) == (
        f"found_{found}",
        "by ana, approved by ben",
    )
    assert (story.state, cases_of(story.renewal)) == (ended_as, ["unresolved"]), (
        "only payment's fact settles it"
    )


@pytest.mark.parametrize(
    ("fact", "reason"),
    [(says.payment_cancelled(), "nothing_was_taken"), (says.surplus(), "surplus_refunded")],
    ids=["not taken", "gone back"],
)
def test_payment_s_fact_settles_it_once(fact: object, reason: str) -> None:
    story = unresolved().when(fact)
    assert (story.state, cases_of(story.renewal), story.just_said) == ("failed", [], [])
    assert story.history[-1].reason == reason
    before = story.renewal
    story.when(says.payment_cancelled(unresolved=True), says.payment_cancelled(), fact)
    assert story.renewal == before, "a replay opens no case again"


def test_that_payment_still_does_not_know_settles_nothing() -> None:
    before = unresolved().renewal
    assert unresolved().when(says.payment_cancelled(unresolved=True)).renewal == before


@pytest.mark.parametrize("found", ["applied", "not_applied", "refunded"])
def test_nothing_else_can_be_found_out_about_it(found: str) -> None:
    story = unresolved()
    before = story.renewal
    resolve(story, found)
    assert story.renewal == before
    assert story.last is not None
    assert "captured or not_captured" in (story.last.ignored or "")


def test_a_refund_that_came_back_is_settled_by_those_who_paid_it_another_way() -> None:
    story = returned()
    assert cases_of(story.renewal) == ["refund_returned"]
    release(story, "refunded")
    assert (story.state, story.just_said, cases_of(story.renewal)) == ("refunded", [], [])
    entry = story.history[-1]
    assert (entry.reason, entry.detail) == (
        "case_settled",
        "by ana, approved by ben: paid by bank transfer",
    )
    before = story.renewal
    assert story.when(says.refund_rejected("refund_returned")).renewal == before


def test_a_broken_promise_is_settled_and_not_told_again() -> None:
    story = unresolved().when(says.payment_cancelled(), says.captured())
    assert cases_of(story.renewal) == ["promise_broken"]
    assert cases_of(release(story, "failed").renewal) == []
    before = story.renewal
    assert story.when(says.captured()).renewal == before


@pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled"])
def test_to_settle_a_case_changes_no_end(outcome: ClosedState) -> None:
    story = returned()
    before = story.renewal
    release(story, outcome)
    assert story.renewal == before
    assert story.last is not None
    assert "release it as refunded" in (story.last.ignored or "")


@pytest.mark.parametrize("outcome", CLOSED_STATES)
@pytest.mark.parametrize(
    "story",
    [
        lambda: captured().when(says.applied()),
        lambda: captured().when(says.top_up_rejected(), says.refunded()),
        lambda: new("card-1").when(says.priced(), says.declined("hard"), says.payment_cancelled()),
        lambda: new().when(says.priced(), CustomerCancels("ana"), says.payment_cancelled()),
    ],
    ids=["completed", "refunded", "failed", "cancelled"],
)
def test_where_there_is_no_case_nothing_is_settled(story: Callable[[], Story], outcome: ClosedState) -> None:
    told = story()
    before = told.renewal
    assert release(told, outcome).renewal == before
    assert told.last is not None
    assert "nobody has to look into it" in (told.last.ignored or "")


@pytest.mark.parametrize("how", [says.declined("hard"), CustomerCancels("ana")])
def test_where_there_is_no_case_nothing_is_to_be_found_out(how: object) -> None:
    told = new("card-1").when(says.priced(), how, says.payment_cancelled())
    before = told.renewal
    assert resolve(told, "captured").renewal == before
    assert told.last is not None
    assert "nobody has to look into it" in (told.last.ignored or "")


def test_what_is_to_be_found_out_is_not_settled_by_word_alone() -> None:
    story = unresolved()
    before = story.renewal
    assert release(story, "failed").renewal == before


def test_what_went_back_before_it_was_said_to_be_unknown_can_be_settled() -> None:
    """Payment has nothing more to say of it, whatever it is told."""
    story = new("card-1").when(says.priced(), CustomerCancels("ana"), says.surplus())
    story.when(says.payment_cancelled(unresolved=True))
    assert cases_of(story.renewal) == ["unresolved"]
    release(story, "cancelled")
    assert (story.state, cases_of(story.renewal), story.just_said) == ("cancelled", [], [])


def test_what_is_still_unknown_is_found_out_not_settled() -> None:
    story = unresolved()
    before = story.renewal
    assert release(story, "failed").renewal == before
