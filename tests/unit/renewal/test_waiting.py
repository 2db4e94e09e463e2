"""Who waits for a slot: requests of people, where what a rule has begun may still be called off."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.renewal.domain.admission import GIVES_WAY, SLOT_TAKEN, Joined, Waits
from services.renewal.domain.policy import POLICY
from services.renewal.domain.renewal import OPEN_STATES
from services.renewal.domain.waiting import COMPLETED_AFTER_ALL, WAITED_TOO_LONG, WITHDRAWN, Waiting, waits
from tests.unit.renewal.rules.given import pull
from tests.unit.renewal.story import T0
from tests.unit.renewal.test_admission import ask, request

AUTOMATIC = UUID(int=7)
HELD: dict[str, Any] = {"open_renewal_id": AUTOMATIC, "open_state": "priced", "open_by_rule": True}


def waiting(**different: Any) -> Waiting:
    asked = request(**different)
    answer = ask(asked, **HELD)
    assert isinstance(answer, Waits)
    return waits(asked, answer, T0, POLICY)


@pytest.mark.parametrize("state", OPEN_STATES)
def test_a_rules_renewal_gives_way_until_money_was_seen(state: str) -> None:
    answer = ask(**HELD | {"open_state": state})
    expected = state in ("requested", "priced", "awaiting_customer", "cancelling_payment")
    assert answer == (Waits(AUTOMATIC, "ana", 3) if expected else SLOT_TAKEN)
    assert (state in GIVES_WAY) == expected


def test_what_a_person_has_begun_gives_way_to_nobody() -> None:
    assert ask(**HELD | {"open_by_rule": False}) == SLOT_TAKEN


def test_only_what_may_be_bought_is_waited_for() -> None:
    refused = ask(**HELD, identity_verified=False)
    assert not isinstance(refused, Waits)


def test_a_trigger_calls_nothing_off() -> None:
    assert not isinstance(pull(**HELD), Waits)


def test_the_same_request_again_is_the_same_answer() -> None:
    assert isinstance(ask(existing_hash=request().fingerprint, **HELD), Joined)


def test_what_waits_is_the_request_as_it_was_made() -> None:
    asked = request(payment_method_ids=("card-1",), traceparent="00-trace")
    assert waiting(traceparent="00-trace").request == asked
    assert waiting().request_hash == waiting().request.fingerprint
    both = {"payment_method_ids": ("card-1", "card-2")}
    methods = ["card-1 ana active", "card-2 ana active"]
    answer = ask(request(**both), **HELD, methods=methods)
    assert isinstance(answer, Waits)
    kept = waits(request(**both), answer, T0, POLICY)
    assert (kept.request, kept.payment_method_ids) == (request(**both), "card-1,card-2")
    assert kept.state == "waiting"


def test_it_waits_as_long_as_a_customers_renewal_may_take_and_no_longer_than_was_asked() -> None:
    assert waiting(act_before=None).deadline_at == T0 + timedelta(seconds=POLICY.deadline_seconds["customer"])
    soon = T0 + timedelta(minutes=1)
    assert waiting(act_before=soon).deadline_at == soon


def test_what_has_ended_says_why() -> None:
    ended = waiting().ended("refused", T0, COMPLETED_AFTER_ALL)
    assert (ended.state, ended.ended_at, ended.reason) == ("refused", T0, "automatic_completed")
    assert ended.detail == COMPLETED_AFTER_ALL.detail


def test_the_reasons_that_are_told_are_those_of_the_page() -> None:
    """docs/rules.md; clients know refusals by them."""
    assert WAITED_TOO_LONG.reason == "waited_too_long"
    assert WITHDRAWN.reason == "customer_cancelled"
