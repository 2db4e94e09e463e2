"""What time alone does in every open state: silence, patience that grows, the promise that is broken once."""

from datetime import timedelta

import pytest

from services.renewal.domain.actions import CustomerCancels, DelayPromise, Silence
from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import State
from services.renewal.domain.time_rules import command_of
from shared.contracts.payment_commands import CapturePayment
from shared.contracts.renewals import RenewalDelayed, RenewalParked, RenewalRequested
from shared.contracts.topup_commands import ApplyTopUp
from tests.unit.renewal.story import T0, Says, captured, new

says = Says()


@pytest.mark.parametrize("state", ["awaiting_customer", "parked", "completed"])
def test_where_an_authority_was_asked_nothing_there_is_nothing_to_ask_again(state: State) -> None:
    with pytest.raises(AssertionError, match=f"nothing is asked while {state}"):
        command_of(state, new().renewal, Moment(T0, POLICY))


def test_silence_before_the_price_asks_the_same_question_with_the_same_id() -> None:
    story = new().when(Silence(), Silence())
    first, second = story.told(RenewalRequested)
    assert first.event_id == second.event_id
    assert story.state == "requested"


def test_silence_repeats_the_command_of_the_same_attempt() -> None:
    story = new().when(says.priced(), says.declined(), Silence())
    assert [command.attempt for command in story.told(CapturePayment)] == [2, 2]
    story = captured().when(Silence(), Silence())
    assert [command.attempt for command in story.told(ApplyTopUp)] == [1, 1]
    assert len({command.event_id for command in story.told(ApplyTopUp)}) == 2


def test_patience_grows_with_every_question_and_starts_anew_in_the_next_state() -> None:
    story = new().when(says.priced())
    first = story.waits_for["Silence"] - story.at
    story.when(Silence())
    assert story.waits_for["Silence"] - story.at == 2 * first
    story.when(says.captured())
    assert story.waits_for["Silence"] - story.at == first


@pytest.mark.parametrize(
    ("way", "state"),
    [
        ([says.priced(), CustomerCancels("ana")], "cancelling_payment"),
        ([says.priced(), says.captured(), CustomerCancels("ana")], "cancelling_top_up"),
        ([says.priced(), says.captured(), says.top_up_rejected()], "refunding"),
    ],
)
def test_silence_while_giving_up_asks_again_and_is_parked_in_the_end(way: list[object], state: str) -> None:
    story = new().when(*way)
    budget = POLICY.patience[story.renewal.state].budget
    assert budget is not None
    for _ in range(budget):
        story.when(Silence())
        assert (story.state, len(story.just_said)) == (state, 1)
    story.when(Silence())
    assert story.state == "parked"
    assert story.told(RenewalParked)[0].reason == f"silence_{state}"
    told_at = T0 + timedelta(seconds=POLICY.promise_seconds)
    assert story.waits_for == {"DelayPromise": told_at}, "it is woken for its customer alone, and only once"
    assert story.renewal.next_due_at == told_at
    story.when(DelayPromise())
    assert [told.state for told in story.told(RenewalDelayed)] == ["parked"]
    assert story.waits_for == {}
    assert story.renewal.next_due_at is None


def test_a_delay_is_told_once() -> None:
    story = captured().when(DelayPromise(), DelayPromise())
    [delayed] = story.told(RenewalDelayed)
    assert delayed.promised_by == T0 + timedelta(seconds=POLICY.promise_seconds)
    assert "DelayPromise" not in story.waits_for
