"""What the saga says names the attempt and the reason of the step that it is about."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.renewal.domain import wording
from services.renewal.domain.policy import POLICY, Backoff, Moment
from services.renewal.domain.renewal import Renewal, TopUpFinding
from services.renewal.domain.saga import decide
from shared.contracts.payments import PaymentActionRequired, PaymentCancelled
from tests.unit.renewal.story import PRICE, T0, Says, captured, new
from tests.unit.renewal.test_matrix import AT, standing

NOW = Moment(AT, POLICY)
SAYS = Says()
FAR = standing("captured")._replace(payment_attempt=3, top_up_attempt=4, refund_attempt=5)
"""Each step is at an attempt of its own."""


def test_each_command_names_the_attempt_of_its_step() -> None:
    payment = (
        wording.capture_payment(FAR, NOW),
        wording.cancel_payment(FAR, NOW),
        wording.resolve_payment(FAR, "captured", "otto", NOW),
    )
    top_up = (
        wording.apply_top_up(FAR, NOW),
        wording.cancel_top_up(FAR, NOW),
        wording.resolve_top_up(FAR, "applied", "otto", NOW),
    )
    assert [command.attempt for command in payment] == [3, 3, 3]
    assert [command.attempt for command in top_up] == [4, 4, 4]
    assert wording.refund_payment(FAR, NOW).attempt == 5
    assert wording.customer_action_required(FAR, "confirm_payment", AT).attempt == 3
    assert {command.version for command in (*payment, *top_up)} == {FAR.version}


def test_who_gives_up_without_a_reason_says_that_it_is_given_up() -> None:
    silent = FAR._replace(reason=None)
    named = FAR._replace(reason="deadline_passed")
    for word in (wording.cancel_payment, wording.cancel_top_up, wording.refund_payment):
        assert word(silent, NOW).reason == "given_up"
        assert word(named, NOW).reason == "deadline_passed"


def test_an_effect_may_be_acted_upon_for_a_while_however_near_the_deadline_is() -> None:
    late = FAR._replace(deadline_at=T0)
    assert wording.capture_payment(late, NOW).act_before == AT + timedelta(seconds=POLICY.effect_seconds)
    assert wording.apply_top_up(FAR, NOW).act_before == FAR.deadline_at
    assert wording.cancel_payment(FAR, NOW).act_before == AT + timedelta(seconds=POLICY.command_seconds)


@pytest.mark.parametrize("unknown", ["amount_minor", "granted"])
def test_nothing_is_ordered_whose_price_is_not_known(unknown: str) -> None:
    unpriced = Renewal(**{**FAR._asdict(), unknown: None})
    with pytest.raises(wording.PriceUnknown):
        wording.capture_payment(unpriced, NOW)
    assert wording.capture_payment(FAR, NOW).amount_minor == PRICE


@pytest.mark.parametrize(
    ("known", "said", "after"),
    [
        (None, "rejected", "rejected"),
        (None, "undetermined", "undetermined"),
        ("undetermined", "undetermined", None),
        ("undetermined", "cancelled", "cancelled"),
        ("undetermined", "rejected", "rejected"),
        ("rejected", "undetermined", None),
        ("rejected", "cancelled", None),
        ("rejected", "rejected", None),
        ("cancelled", "undetermined", None),
        ("cancelled", "rejected", None),
    ],
)
def test_what_is_final_is_remembered_whatever_comes_after(
    known: TopUpFinding | None, said: str, after: TopUpFinding | None
) -> None:
    messages = {
        "rejected": SAYS.top_up_rejected(),
        "cancelled": SAYS.top_up_cancelled(),
        "undetermined": SAYS.undetermined(),
    }
    decision = decide(standing("priced")._replace(top_up=known), messages[said], NOW)
    assert (decision.history is None) == (after is None)
    assert decision.renewal.top_up == (after or known)


@pytest.mark.parametrize("known", ["rejected", "cancelled"])
def test_what_was_parked_after_a_final_answer_is_not_given_back_twice(known: TopUpFinding) -> None:
    renewal = standing("parked")._replace(top_up=known)
    for message in (SAYS.top_up_rejected(), SAYS.top_up_cancelled()):
        assert decide(renewal, message, NOW).history is None


def test_a_capture_seen_after_an_undetermined_top_up_is_parked_for_that() -> None:
    story = new().when(SAYS.priced(), SAYS.undetermined(), SAYS.captured())
    assert (story.state, story.renewal.parked_reason) == ("parked", "top_up_undetermined")
    assert story.renewal.parked_from == "captured"


def test_methods_are_tried_in_their_order() -> None:
    story = new("card-1", "card-2", "card-3").when(SAYS.priced(), SAYS.declined("hard"))
    assert story.renewal.payment_method_id == "card-2"
    story.when(SAYS.declined("hard", 2, "card-2"))
    assert story.renewal.payment_method_id == "card-3"


def test_a_soft_decline_of_the_last_method_spends_one_and_what_follows_is_policy() -> None:
    only = standing("priced")._replace(payment_method_id="card-2")
    soft = SAYS.declined("soft", method="card-2")
    assert decide(only, soft, NOW).renewal.spent == 1
    retry = replace(POLICY.soft_decline_retries["customer"], budget=0, when_spent="park")
    strict = replace(POLICY, soft_decline_retries={"customer": retry})
    assert decide(only, soft, Moment(AT, strict)).renewal.parked_reason == "declined_soft"


def test_the_payer_is_asked_about_the_method_that_was_tried() -> None:
    message = PaymentActionRequired(
        **{**dict(SAYS.action_required()), "payment_method_id": "card-2", "attempt": 1}
    )
    assert decide(standing("priced"), message, NOW).renewal.payment_method_id == "card-2"


def test_payment_s_own_reason_counts_where_nobody_gave_one() -> None:
    message = PaymentCancelled(**{**dict(SAYS.payment_cancelled()), "reason": "customer_cancelled"})
    decision = decide(standing("priced"), message, NOW)
    assert (decision.renewal.state, decision.renewal.reason) == ("cancelled", "customer_cancelled")


def test_every_policy_knows_its_own_shortest_patience() -> None:
    assert replace(POLICY).shortest_patience == timedelta(seconds=30)
    hasty = replace(POLICY.patience["priced"], backoff=Backoff(7, 3, 300, jitter=0))
    assert replace(POLICY, patience={**POLICY.patience, "priced": hasty}).shortest_patience.seconds == 7


def test_a_top_up_that_failed_waits_as_long_as_the_carrier_says() -> None:
    failed = SAYS.top_up_failed().model_copy(update={"retry_after_seconds": 77})
    assert captured().when(failed).waits_for["RetryDue"] == T0 + timedelta(seconds=3 + 77)


def test_who_ends_without_reason_amount_or_count_says_so() -> None:
    bare = FAR._replace(reason=None, parked_reason=None, amount_minor=None, top_up_cycle=None)
    assert wording.renewal_failed(bare, AT).reason == "given_up"
    assert wording.renewal_cancelled(bare, AT).reason == "given_up"
    assert wording.renewal_parked(bare, AT).reason == "unknown"
    refunded, completed = wording.renewal_refunded(bare, AT), wording.renewal_completed(bare, AT)
    assert (refunded.reason, refunded.amount_minor) == ("given_up", 0)
    assert (completed.amount_minor, completed.cycle) == (0, FAR.cycle + 1)
    counted = FAR._replace(top_up_cycle=0)
    assert wording.renewal_completed(counted, AT).cycle == 0


def test_the_question_to_catalog_is_always_the_same() -> None:
    asked = [wording.renewal_requested(renewal, NOW) for renewal in (FAR, FAR._replace(version=9))]
    assert asked[0] == asked[1]
    assert (asked[0].version, asked[0].cycle, asked[0].requested_at) == (1, FAR.cycle, FAR.requested_at)
