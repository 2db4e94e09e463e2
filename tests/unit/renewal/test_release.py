"""The last resort: two operators close a parked renewal themselves, as far as no fact speaks against it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from services.renewal.domain.actions import CustomerCancels, OperatorRefunds, OperatorReleases, Silence
from services.renewal.domain.policy import POLICY
from services.renewal.domain.renewal import CLOSED_STATES, ClosedState
from services.renewal.operators.domain.filter import cases_of
from shared.contracts.topup_commands import ResolveTopUp
from tests.unit.renewal.story import Says, Story, captured, new

says = Says()
NOTE = "seen at the carrier"
SILENCES = (POLICY.patience["cancelling_payment"].budget or 0) + 1
REFUND_SILENCES = POLICY.patience["refunding"].budget or 0


def released(story: Story, outcome: ClosedState) -> Story:
    return story.when(OperatorReleases("ana", outcome, NOTE, approver="ben"))


def unheard_of_payment() -> Story:
    return new().when(says.priced(), CustomerCancels("ana"), *[Silence()] * SILENCES)


def unheard_of_provisioning() -> Story:
    return captured().when(CustomerCancels("ana"), *[Silence()] * SILENCES)


def undetermined() -> Story:
    return captured().when(says.undetermined())


def hanging() -> Story:
    return captured().when(says.top_up_rejected(), says.refund_rejected())


def applied_while_refunding() -> Story:
    return captured().when(says.top_up_rejected(), says.applied(), says.refund_rejected())


def unheard_of_refund() -> Story:
    return captured().when(says.top_up_rejected(), *[Silence()] * (REFUND_SILENCES + 1))


def called_off_anew() -> Story:
    """Provisioning did not know; then it was told to call off, and is still trying."""
    refund = OperatorRefunds("ana", approver="ben")
    return undetermined().when(refund, *[Silence()] * SILENCES)


def applied_after_another_contradiction() -> Story:
    return captured().when(
        says.payment_cancelled(), says.top_up_rejected(), says.applied(), says.refund_rejected()
    )


def contradicted() -> Story:
    return captured().when(says.payment_cancelled(), says.top_up_rejected(), says.refund_rejected())


@pytest.mark.parametrize(
    ("parked", "possible"),
    [
        (unheard_of_payment, ()),
        (lambda: unheard_of_payment().when(says.top_up_rejected()), ()),
        (lambda: unheard_of_payment().when(says.captured()), ()),
        (unheard_of_provisioning, ()),
        (undetermined, ("completed", "refunded")),
        (lambda: new().when(says.priced(), says.refunded(), says.undetermined()), ("completed", "refunded")),
        (hanging, ("refunded",)),
        (lambda: captured().when(says.top_up_cancelled(), says.refund_rejected()), ("refunded",)),
        (unheard_of_refund, ()),
        (called_off_anew, ()),
        (applied_while_refunding, ("completed",)),
        (applied_after_another_contradiction, ("completed",)),
        (contradicted, ("completed", "refunded", "failed", "cancelled")),
    ],
    ids=[
        "payment may yet capture",
        "payment may yet capture, and nothing will be applied",
        "paid, and provisioning may yet apply",
        "provisioning may yet apply",
        "nobody knows whether it was applied",
        "refunded elsewhere, and nobody knows whether it was applied",
        "nothing is or will be applied",
        "it was called off",
        "payment may yet give it back",
        "provisioning did not know, and is calling off now",
        "it was applied although it was said never to be",
        "the same, where payment had contradicted itself",
        "payment has contradicted itself",
    ],
)
@pytest.mark.parametrize("outcome", CLOSED_STATES)
def test_it_ends_only_as_no_fact_contradicts_and_no_authority_can_undo(
    parked: Callable[[], Story], possible: tuple[str, ...], outcome: ClosedState
) -> None:
    story = parked()
    assert story.state == "parked"
    before = story.renewal
    released(story, outcome)
    if outcome in possible:
        assert story.state == outcome
        assert story.just_said[-1] == f"Renewal{outcome.capitalize()}"
        assert story.renewal.has_flag("released")
        assert cases_of(story.renewal) == [], "whoever closed it has looked into it"
        return
    assert story.renewal == before
    assert story.last is not None
    assert story.last.says == ()
    for fits in possible:
        assert fits in (story.last.ignored or ""), "what is possible is said"


@pytest.mark.parametrize(
    ("parked", "why"),
    [
        (unheard_of_payment, "payment has not said"),
        (unheard_of_provisioning, "provisioning has not answered"),
        (unheard_of_refund, "give the money back"),
    ],
)
def test_whom_to_ask_first_is_said(parked: Callable[[], Story], why: str) -> None:
    story = released(parked(), "refunded")
    assert story.last is not None
    assert why in (story.last.ignored or "")


@pytest.mark.parametrize(("outcome", "found"), [("completed", "applied"), ("refunded", "not_applied")])
def test_provisioning_is_told_what_it_did_not_know(outcome: ClosedState, found: str) -> None:
    """Or it would stay able to say otherwise, and payment would hold for ever what was earned."""
    story = released(undetermined(), outcome)
    [command] = story.told(ResolveTopUp)
    assert (command.decision, command.decided_by) == (found, "ana:ben")
    assert command.act_before - story.at == timedelta(seconds=POLICY.refund_seconds), "nobody says it again"


@pytest.mark.parametrize("parked", [hanging, applied_while_refunding])
def test_what_provisioning_has_said_for_good_it_is_not_told(parked: Callable[[], Story]) -> None:
    story = parked()
    outcome: ClosedState = "refunded" if story.renewal.applied_at is None else "completed"
    assert len(released(story, outcome).just_said) == 1
    assert story.told(ResolveTopUp) == []


def test_it_stands_in_the_history_by_name_with_the_note() -> None:
    entry = released(undetermined(), "completed").history[-1]
    assert (entry.reason, entry.detail) == ("released_by_operator", f"by ana, approved by ben: {NOTE}")


def test_it_keeps_the_reason_for_which_it_was_given_up() -> None:
    given_up = captured().when(CustomerCancels("ana"), says.undetermined())
    assert released(given_up, "refunded").renewal.reason == "customer_cancelled"
    assert released(undetermined(), "refunded").renewal.reason == "released_by_operator"


def test_what_provisioning_says_afterwards_is_recorded_once() -> None:
    """The top-up's time and the cycle that it began: the next trigger is judged by it."""
    story = released(undetermined(), "completed").when(says.applied())
    applied = says.applied()
    assert (story.renewal.applied_at, story.renewal.top_up_cycle) == (applied.applied_at, applied.cycle)
    assert (story.state, story.just_said) == ("completed", [])
    version = story.renewal.version
    assert story.when(says.applied()).renewal.version == version


def test_a_refund_that_works_after_all_agrees() -> None:
    story = released(hanging(), "refunded")
    before = story.renewal
    assert story.when(says.refunded()).renewal == before


def test_a_refund_that_failed_is_no_news_when_its_failure_is_heard_again() -> None:
    """Everything is, when a topic is replayed: no case is opened that two people have settled."""
    for again in (says.refund_rejected(), says.refund_rejected("refund_returned"), says.refund_failed(1)):
        story = released(hanging(), "refunded")
        before = story.renewal
        assert story.when(again).renewal == before
