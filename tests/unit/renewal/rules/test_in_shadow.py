"""What is kept of a trigger whose subscription is not live: what would have been done, on which terms."""

import json
from datetime import timedelta

import pytest

from services.renewal.domain.admission import Admitted, Announced, Kept, Refusal, Shadowed
from services.renewal.domain.asking import UNTIL
from services.renewal.rules.domain.decision import NOT_LIVE, decision_of, replaces
from tests.unit.renewal.rules.given import TRIGGER, pull, told
from tests.unit.renewal.story import T0

LATER = T0 + timedelta(hours=1)


def shadowed(would: object) -> Shadowed:
    assert isinstance(would, Admitted | Announced | Kept | Refusal)
    return Shadowed(would)


def test_a_renewal_that_would_have_begun_is_kept_with_its_terms_and_without_an_id() -> None:
    decision = decision_of(TRIGGER, shadowed(pull()), T0)
    assert (decision.outcome, decision.shadow, decision.renewal_id) == ("would_renew", True, None)
    assert (decision.mandate_id, decision.bound_by) == ("m-1", "cap_charge")
    assert json.loads(decision.terms or "") == {
        "offering_id": "cuba-1gb",
        "max_amount_minor": 800,
        "currency": "USD",
        "payment_method_id": "card-1",
    }
    assert decision.detail == f"{NOT_LIVE} A renewal would have been begun."


def test_what_would_have_been_announced_tells_when_it_would_have_been_charged() -> None:
    decision = decision_of(TRIGGER, shadowed(pull(known=told(notice_seconds=3600))), T0)
    assert (decision.outcome, decision.next_try_at) == ("would_renew", LATER)
    assert json.loads(decision.terms or "")["max_amount_minor"] == 800
    assert decision.detail.startswith(f"{NOT_LIVE} The payer would have been told")


@pytest.mark.parametrize(
    ("would", "outcome", "reason"),
    [
        (Refusal("device_changed", "Bind it anew."), "refused", "device_changed"),
        (Kept(TRIGGER), "would_wait", "slot_taken"),
        (
            Kept(TRIGGER._replace(held_by=UNTIL, not_before=LATER), "quiet_hours"),
            "would_wait",
            "quiet_hours",
        ),
    ],
)
def test_what_would_not_have_been_begun_is_kept_with_its_reason(
    would: Kept | Refusal, outcome: str, reason: str
) -> None:
    decision = decision_of(TRIGGER, Shadowed(would), T0)
    assert (decision.outcome, decision.reason, decision.shadow) == (outcome, reason, True)
    assert decision.detail.startswith(NOT_LIVE)
    assert decision.terms is None


def test_what_is_live_is_kept_as_before() -> None:
    decision = decision_of(TRIGGER, pull(), T0)
    assert (decision.shadow, decision.terms) == (False, None)


def test_a_renewal_that_was_begun_is_not_hidden_by_a_later_look_in_shadow() -> None:
    begun = decision_of(TRIGGER, pull(), T0)
    assert not replaces(begun, decision_of(TRIGGER, shadowed(pull()), LATER))
