"""Money that no renewal may keep: found, sent back, once per object."""

from datetime import timedelta

import pytest

from services.payment.domain.calls import call_of, spread
from services.payment.domain.outcome import Kind
from services.payment.domain.payment import CallStatus, Decision, Operation, Transfer
from shared.contracts.message import deterministic_id
from shared.contracts.payments import PaymentCaptured, PaymentRefunded, SurplusRefunded
from tests.unit.payment.story import PRICE, RENEWAL, Story, balances, captured, capturing, moved


def test_money_found_after_an_unresolved_end_goes_back() -> None:
    story = capturing().later(seconds=121).outcome(Kind.UNKNOWN).later(seconds=121).outcome(Kind.UNKNOWN)
    story.outcome(Kind.CAPTURED)
    assert (story.row.operation, story.row.decision) == (Operation.SURPLUS, Decision.CANCELLED)
    assert balances(story.transfers) == {"surplus": PRICE, "psp:sandbox": -PRICE}
    story.outcome(Kind.REFUNDED)
    [answer] = story.heard(SurplusRefunded)
    assert (answer.ordinal, answer.amount_minor) == (1, PRICE)
    assert set(balances(story.transfers).values()) == {0}
    assert story.heard(PaymentCaptured) == []


def test_money_beside_another_capture_goes_back_once_per_object() -> None:
    story = captured()
    for _ in range(2):
        story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    assert moved(story.transfers, "surplus_found") == 900
    assert story.row.operation is Operation.SURPLUS
    story.outcome(Kind.REFUNDED)
    assert [answer.amount_minor for answer in story.heard(SurplusRefunded)] == [900]
    assert balances(story.transfers)["held"] == PRICE


def test_surplus_found_during_a_refund_waits_its_turn() -> None:
    story = captured().refund()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    calls = [story.row.operation]
    for _ in range(2):
        story.outcome(Kind.REFUNDED)
        calls.append(story.row.operation)
    assert calls == [Operation.REFUND, Operation.SURPLUS, None]
    assert [type(message) for message in story.said[1:]] == [PaymentRefunded, SurplusRefunded]


def test_a_surplus_that_cannot_be_sent_back_is_tried_until_it_can() -> None:
    story = Story().cancel()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_9", amount_minor=PRICE, currency="USD")
    first = story.row.ordinal
    story.outcome(Kind.FAILED)
    assert (story.row.operation, story.row.ordinal) == (Operation.SURPLUS, first + 1)
    story.outcome(Kind.UNKNOWN)
    assert story.row.ordinal == first + 1
    assert story.outcome(Kind.REFUNDED).heard(SurplusRefunded)


def test_a_surplus_whose_refund_comes_back_is_sent_back_again_later_and_said_once() -> None:
    story = Story().cancel()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_9", amount_minor=PRICE, currency="USD")
    story.outcome(Kind.REFUNDED, reference="re_1")
    first = story.row.ordinal
    for _ in range(2):
        story.fact(
            Kind.REFUND_RETURNED, gateway="sandbox", object_reference="pi_9", reference="re_1", currency="USD"
        )
    assert balances(story.transfers)["surplus"] == PRICE
    assert (story.row.operation, story.row.ordinal) == (Operation.SURPLUS, first + 1)
    assert story.row.due_at is not None
    assert story.patience.longest_pause < story.row.due_at - story.now <= story.patience.questions.longest
    assert call_of(story.row, RENEWAL, None, 0.0).amount_minor == PRICE

    story.claimed().outcome(Kind.REFUNDED, reference="re_2")
    assert len(story.heard(SurplusRefunded)) == 1
    assert set(balances(story.transfers).values()) == {0}
    assert story.row.operation is None


def test_a_refund_found_while_a_surplus_goes_back_does_not_send_the_surplus_twice() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    surplus_call = (story.row.operation, story.row.ordinal)
    story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_1", amount_minor=PRICE, currency="USD")
    assert (story.row.operation, story.row.ordinal) == surplus_call
    story.outcome(Kind.REFUNDED)
    assert set(balances(story.transfers).values()) == {0}


def test_of_a_surplus_partly_refunded_by_hand_the_rest_goes_back_and_the_whole_is_said_once() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    first = story.row.ordinal
    for _ in range(2):
        story.fact(
            Kind.REFUNDED, gateway="sandbox", reference="re_hand", object_reference="pi_2", amount_minor=300
        )
    assert story.heard(SurplusRefunded) == []
    assert balances(story.transfers)["surplus"] == 600
    assert story.attempts[first].status is CallStatus.FAILED
    assert (story.row.operation, story.row.ordinal) == (Operation.SURPLUS, first + 1)
    assert call_of(story.row, RENEWAL, None, 0.0).amount_minor == 600

    story.outcome(Kind.REFUNDED)
    assert [answer.amount_minor for answer in story.heard(SurplusRefunded)] == [900]
    assert (story.row.operation, balances(story.transfers)["surplus"]) == (None, 0)


def test_a_surplus_of_which_a_part_came_back_before_the_whole_had_gone_is_said_once_it_has() -> None:
    story = captured()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_2", amount_minor=900, currency="USD")
    by_hand = {"gateway": "sandbox", "reference": "re_hand", "object_reference": "pi_2", "amount_minor": 300}
    story.fact(Kind.REFUNDED, **by_hand)
    under_way = story.row.ordinal
    story.fact(Kind.REFUND_RETURNED, **by_hand)
    # What was asked for works; it was asked for when less was left.
    story.outcome(Kind.REFUNDED, amount_minor=600)
    assert (story.heard(SurplusRefunded), balances(story.transfers)["surplus"]) == ([], 300)
    assert story.attempts[under_way].status is CallStatus.SUCCEEDED
    story.outcome(Kind.REFUNDED, reference="re_rest")
    assert [answer.amount_minor for answer in story.heard(SurplusRefunded)] == [900]

    # What comes back after it was said stays said.
    story.fact(Kind.REFUND_RETURNED, **(by_hand | {"reference": "re_rest"}))
    story.claimed().outcome(Kind.REFUNDED)
    assert len(story.heard(SurplusRefunded)) == 1
    assert (story.row.operation, balances(story.transfers)["surplus"]) == (None, 0)


def test_a_surplus_refunded_by_hand_while_another_goes_back_is_not_asked_for_again() -> None:
    story = captured()
    for reference in ("pi_2", "pi_3"):
        story.fact(Kind.CAPTURED, gateway="sandbox", reference=reference, amount_minor=900, currency="USD")
    under_way = (story.row.operation, story.row.ordinal)
    story.fact(
        Kind.REFUNDED, gateway="sandbox", reference="re_hand", object_reference="pi_3", amount_minor=900
    )
    assert (story.row.operation, story.row.ordinal) == under_way
    story.outcome(Kind.REFUNDED)
    assert story.row.operation is None
    assert [answer.ordinal for answer in story.heard(SurplusRefunded)] == [2, 1]


def sent_back(**refund: str) -> Story:
    """A cancelled payment whose surplus went back, by a refund that is called so."""
    story = Story().cancel()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_9", amount_minor=PRICE, currency="USD")
    return story.fact(Kind.REFUNDED, gateway="sandbox", object_reference="pi_9", amount_minor=PRICE, **refund)


def came_back(story: Story, **refund: str) -> Story:
    """The gateway tells that a refund of the surplus came back."""
    return story.fact(Kind.REFUND_RETURNED, gateway="sandbox", object_reference="pi_9", **refund)


def test_a_surplus_that_came_back_is_owed_again_by_the_psp() -> None:
    story = came_back(sent_back(reference="re_1"), reference="re_1")
    assert story.last is not None
    once_more = deterministic_id(RENEWAL, "surplus_returned", "sandbox", "pi_9", "re_1")
    assert story.last.transfers == (
        Transfer(once_more, "surplus_found", "psp:sandbox", "surplus", PRICE, "USD", RENEWAL),
    )
    assert balances(story.transfers) == {"surplus": PRICE, "psp:sandbox": -PRICE}


def test_a_surplus_that_came_back_is_not_sent_at_once() -> None:
    story = came_back(sent_back(reference="re_1"), reference="re_1")
    assert story.last is not None
    assert (story.last.begins, story.row.call_status) == (False, CallStatus.UNKNOWN)
    assert story.row.due_at == story.now + timedelta(minutes=5) * spread(story.row)


def test_a_refund_without_a_name_comes_back_without_one() -> None:
    story = came_back(sent_back())
    assert (story.row.operation, balances(story.transfers)["surplus"]) == (Operation.SURPLUS, PRICE)


def test_a_refund_of_a_surplus_that_is_told_after_it_came_back_never_counts() -> None:
    story = Story().cancel()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_9", amount_minor=PRICE, currency="USD")
    came_back(story, reference="re_1")
    story.fact(
        Kind.REFUNDED, gateway="sandbox", object_reference="pi_9", reference="re_1", amount_minor=PRICE
    )
    assert (story.row.operation, balances(story.transfers)["surplus"]) == (Operation.SURPLUS, PRICE)
    story.outcome(Kind.REFUNDED, reference="re_2")
    assert len(story.heard(SurplusRefunded)) == 1


def test_a_refund_of_a_surplus_that_nobody_made_brings_nothing_back() -> None:
    story = came_back(sent_back(reference="re_1"), reference="re_2")
    assert (story.last, story.row.operation) == (None, None)
    assert balances(story.transfers)["surplus"] == 0


HOURS = 3600.0


@pytest.mark.parametrize(
    ("seconds", "pause"), [(0, 1.0), (0.5, 1.0), (40, 40.0), (HOURS, HOURS), (23.99 * HOURS, HOURS)]
)
def test_a_surplus_is_tried_after_as_long_as_it_took_so_far_and_every_hour(
    seconds: float, pause: float
) -> None:
    story = tried_after(seconds)
    assert story.row.due_at == story.now + timedelta(seconds=pause) * spread(story.row)


@pytest.mark.parametrize("hours", [24, 240])
def test_from_the_instant_of_its_deadline_a_surplus_is_tried_once_a_day(hours: int) -> None:
    story = tried_after(hours * HOURS)
    assert story.row.due_at == story.now + timedelta(days=1)


def tried_after(seconds: float) -> Story:
    """A surplus whose refund has an unknown outcome so long after it was found."""
    story = Story().cancel()
    story.fact(Kind.CAPTURED, gateway="sandbox", reference="pi_9", amount_minor=PRICE, currency="USD")
    return story.later(seconds=seconds).outcome(Kind.UNKNOWN)
