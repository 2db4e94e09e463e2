"""Dunning: when a failed payment is tried anew, with what, and when it is the last time."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from services.renewal.domain.admission import Admitted, Kept
from services.renewal.domain.asking import PAUSED, UNTIL, Trigger
from services.renewal.domain.renewal import Renewal
from services.renewal.rules.domain.decision import decision_of
from services.renewal.rules.domain.dunning import ASKS, HOUSE, Dunning, Failure, failure_of, next_try
from services.renewal.rules.domain.judgement import CYCLE_OVER, NO_OTHER_CARD, wish_of
from services.renewal.rules.domain.rule import Offerings, Pause
from tests.unit.renewal.rules.given import TRIGGER, pull, says, told
from tests.unit.renewal.story import T0

HOUR = timedelta(hours=1)
SECOND = TRIGGER._replace(dunning_try=2, held_by=UNTIL, not_before=T0 - HOUR)
TWO_CARDS: dict[str, Any] = {"payment_method_ids": ("card-1", "card-2")}
METHODS: dict[str, Any] = {"methods": ["card-1 ana active", "card-2 ana active"]}


def failed(reason: str) -> Renewal:
    """The first try, closed for this reason after it had been priced."""
    answer = pull()
    assert isinstance(answer, Admitted)
    return answer.renewal._replace(state="failed", reason=reason, amount_minor=700, closed_at=T0)


def following(reason: str, dunning: Dunning = HOUSE, dunning_try: int = 1) -> Trigger | None:
    renewal = failed(reason)
    failure = failure_of(renewal)
    assert failure is not None
    decision = decision_of(TRIGGER._replace(dunning_try=dunning_try), pull(), T0)
    return next_try(dunning, failure, decision, renewal, T0)


# -- what is tried anew ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("declined_soft", "soft"),
        ("declined_hard", "hard"),
        ("declined_needs_customer", "needs_customer"),
        ("payment_attempts_spent", "soft"),
        ("deadline_passed", "needs_customer"),
    ],
)
def test_what_was_not_paid_is_tried_anew_by_why_it_failed(reason: str, failure: str) -> None:
    assert failure_of(failed(reason)) == failure


@pytest.mark.parametrize(
    "different",
    [
        {"reason": "price_changed"},
        {"reason": "customer_cancelled"},
        {"reason": "deadline_passed", "amount_minor": None},
        {"reason": "deadline_passed", "captured_at": T0},
    ],
)
def test_what_ended_for_another_reason_is_not(different: dict[str, Any]) -> None:
    assert failure_of(failed("declined_soft")._replace(**different)) is None


def test_each_try_waits_as_long_as_its_place_in_the_schedule_says() -> None:
    dunning = Dunning(soft_after_seconds=(60, 3600))
    first, second = following("declined_soft", dunning), following("declined_soft", dunning, 2)
    assert first is not None
    assert second is not None
    assert (first.dunning_try, first.not_before) == (2, T0 + timedelta(seconds=60))
    assert (second.dunning_try, second.not_before) == (3, T0 + HOUR)
    assert following("declined_soft", dunning, 3) is None
    assert first.renewal_id != second.renewal_id != TRIGGER.renewal_id


def test_the_schedule_is_the_one_of_the_failure() -> None:
    dunning = Dunning(soft_after_seconds=(60,), hard_after_seconds=(), needs_customer_after_seconds=(90,))
    assert following("declined_hard", dunning) is None
    unanswered = following("deadline_passed", dunning)
    assert unanswered is not None
    assert unanswered.not_before == T0 + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("failure", "days"), [("soft", [1, 2, 4]), ("hard", [3, 4]), ("needs_customer", [1, 3])]
)
def test_a_rule_that_says_nothing_is_dunned_as_the_page_says(failure: Failure, days: list[int]) -> None:
    """docs/rules.md: after 1, 2 and 4 days; 3 and 4; 1 and 3."""
    waits = [HOUSE.after(failure, failed_try) for failed_try in range(1, len(days) + 2)]
    assert waits == [*(timedelta(days=each) for each in days), None]


def test_a_rule_is_dunned_as_it_says_itself_or_else_as_the_house_does() -> None:
    own = Dunning(soft_after_seconds=(60,))
    assert says(dunning=own).dunned_by == own
    assert says().dunned_by == HOUSE


def test_a_schedule_has_ten_tries_at_most_and_no_wait_beyond_a_month() -> None:
    month = 31 * 24 * 3600
    longest = Dunning(soft_after_seconds=(month,) * 9)
    assert longest.after("soft", 9) == timedelta(days=31)
    for refused in ((60,) * 10, (month + 1,), (0,)):
        with pytest.raises(ValidationError):
            Dunning(soft_after_seconds=refused)


@pytest.mark.parametrize(("failure", "is_asked"), [("soft", False), ("hard", True), ("needs_customer", True)])
def test_the_payer_is_asked_for_another_card_where_waiting_alone_helps_little(
    failure: Failure, is_asked: bool
) -> None:
    assert (failure in ASKS) == is_asked


def test_a_kept_try_waits_for_its_instant() -> None:
    kept = following("declined_soft")
    assert kept is not None
    assert kept.held_by == UNTIL


def test_of_several_cards_that_never_pay_again_none_is_tried_again() -> None:
    answer = pull(known=told(**TWO_CARDS), **METHODS)
    assert isinstance(answer, Admitted)
    renewal = answer.renewal._replace(state="failed", reason="declined_hard", closed_at=T0)
    kept = next_try(HOUSE, "hard", decision_of(TRIGGER, answer, T0), renewal, T0)
    assert kept is not None
    assert kept.declined == "card-1,card-2"
    due = kept._replace(not_before=T0)
    assert wish_of(told(**TWO_CARDS), due).payment_method_ids == ()
    three = told(payment_method_ids=("card-1", "card-2", "card-3"))
    assert wish_of(three, due).payment_method_ids == ("card-3",)


def test_only_a_card_that_never_pays_again_is_left_out() -> None:
    soft, hard = following("declined_soft"), following("declined_hard")
    assert soft is not None
    assert hard is not None
    assert (soft.declined, hard.declined) == (None, "card-1")
    assert hard.offering_id == "cuba-1gb"


# -- how a try is judged ------------------------------------------------------------------------------


def test_a_try_that_is_due_begins_a_renewal_of_its_own() -> None:
    answer = pull(SECOND)
    assert isinstance(answer, Admitted)
    assert answer.renewal.renewal_id == SECOND.renewal_id != TRIGGER.renewal_id
    assert (answer.request.dunning_try, answer.terms.max_amount_minor) == (2, 800)


def test_a_try_looked_at_before_its_time_keeps_waiting_for_it() -> None:
    early = SECOND._replace(not_before=T0 + HOUR, held_by=None)
    assert pull(early) == Kept(early._replace(held_by=UNTIL), "dunning")
    taken = pull(early, open_renewal_id=TRIGGER.renewal_id)
    assert isinstance(taken, Kept)
    assert taken.trigger.not_before == early.not_before


def test_a_try_is_due_at_its_very_instant() -> None:
    assert isinstance(pull(SECOND._replace(not_before=T0)), Admitted)


def test_a_first_try_has_no_time_of_its_own() -> None:
    assert isinstance(pull(TRIGGER._replace(not_before=T0 + HOUR)), Admitted)


def test_a_top_up_meanwhile_ends_it() -> None:
    assert pull(SECOND, cycle=4) == CYCLE_OVER
    assert pull(SECOND._replace(not_before=T0 + HOUR), cycle=4) == CYCLE_OVER


def test_a_pause_holds_a_try_that_is_due() -> None:
    held = pull(SECOND, told(pause=Pause(T0, "ana", "Travelling.")))
    assert isinstance(held, Kept)
    assert (held.trigger.held_by, held.reason) == (PAUSED, "rule_paused")


def test_a_declined_card_is_not_tried_again() -> None:
    hard = SECOND._replace(declined="card-1")
    assert pull(hard) == NO_OTHER_CARD
    assert NO_OTHER_CARD.reason == "no_other_card"
    answer = pull(hard, told(**TWO_CARDS), **METHODS)
    assert isinstance(answer, Admitted)
    assert answer.terms.payment_method_ids == ("card-2",)


def test_another_card_is_tried_before_the_time_is_over() -> None:
    early = SECOND._replace(declined="card-1", not_before=T0 + HOUR)
    assert isinstance(pull(early), Kept)
    assert isinstance(pull(early, told(**TWO_CARDS), **METHODS), Admitted)


def test_a_try_wants_what_the_first_wanted_while_the_rule_names_it() -> None:
    up = SECOND._replace(offering_id="cuba-5gb")
    named = told(offerings=Offerings(same="cuba-1gb", up="cuba-5gb"))
    assert wish_of(named, up).offering_id == "cuba-5gb"
    assert wish_of(told(), up).offering_id == "cuba-1gb"
