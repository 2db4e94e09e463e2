"""From a decision to the event that says it."""

from datetime import timedelta

import pytest

from services.provisioning.topups.domain.answers import answer
from services.provisioning.topups.domain.top_up import SPOKEN, Order, State
from shared.contracts.topups import TopUpApplied, TopUpAttemptFailed
from tests.unit.provisioning.given import GRANT, NOW, ORDER, RENEWAL, TERMS, top_up


def test_an_applied_top_up_tells_what_was_granted_and_in_which_cycle() -> None:
    expires_at = NOW + timedelta(days=3)
    said = answer(ORDER, top_up("applied", cycle=4, applied_at=NOW, expires_at=expires_at))
    assert isinstance(said, TopUpApplied)
    assert (said.version, said.attempt, said.cycle, said.grant) == (7, 2, 4, GRANT)
    assert (said.applied_at, said.expires_at, said.expiry_stated) == (NOW, expires_at, True)


def test_where_the_carrier_does_not_say_when_it_ends_the_earliest_end_is_told_as_such() -> None:
    said = answer(ORDER, top_up("applied", cycle=1, applied_at=NOW))
    assert isinstance(said, TopUpApplied)
    assert said.expires_at == NOW + timedelta(seconds=GRANT.validity_seconds)
    assert not said.expiry_stated


def test_a_failed_attempt_tells_whether_it_reached_the_carrier_and_when_to_come_again() -> None:
    failed = top_up("failed", reason="rate_limited", reached_provider=False, retry_after_seconds=5)
    said = answer(ORDER, failed)
    assert isinstance(said, TopUpAttemptFailed)
    assert (said.reason, said.reached_provider, said.retry_after_seconds) == ("rate_limited", False, 5)


@pytest.mark.parametrize("state", sorted(SPOKEN))
def test_an_answer_repeated_is_the_same_event(state: State) -> None:
    decision = top_up(state, applied_at=NOW)
    first, again = answer(ORDER, decision), answer(ORDER, decision)
    assert (first, first.event_id) == (again, again.event_id)


@pytest.mark.parametrize("state", ["held", "pending", "sending", "calling_off"])
def test_what_is_under_way_has_no_answer(state: State) -> None:
    with pytest.raises(ValueError, match="no answer yet"):
        answer(ORDER, top_up(state))


@pytest.mark.parametrize("state", sorted(SPOKEN))
def test_every_answer_names_its_renewal_version_attempt_and_terms(state: State) -> None:
    said = answer(ORDER, top_up(state, applied_at=NOW))
    assert (said.renewal_id, said.subscription_id, said.terms) == (RENEWAL, "sub-1", TERMS)
    assert (said.version, said.attempt) == (7, 2)


@pytest.mark.parametrize("state", ["rejected", "cancelled", "undetermined", "failed"])
def test_who_gives_no_reason_names_the_state(state: State) -> None:
    assert getattr(answer(ORDER, top_up(state)), "reason", None) == state
    assert getattr(answer(ORDER, top_up(state, reason="why")), "reason", None) == "why"


@pytest.mark.parametrize(("reached", "said"), [(None, True), (True, True), (False, False)])
def test_only_what_is_known_not_to_have_reached_the_carrier_is_told_so(
    reached: bool | None, said: bool
) -> None:
    told = answer(ORDER, top_up("failed", reached_provider=reached))
    assert isinstance(told, TopUpAttemptFailed)
    assert told.reached_provider is said


def test_an_applied_top_up_names_what_was_paid_and_counts_from_nought() -> None:
    said = answer(ORDER, top_up("applied", applied_at=NOW))
    assert isinstance(said, TopUpApplied)
    assert (said.amount_minor, said.currency, said.cycle) == (1000, "USD", 0)


@pytest.mark.parametrize(
    "order", [ORDER._replace(grant=None), ORDER._replace(amount_minor=None), ORDER._replace(currency=None)]
)
def test_what_was_not_bought_cannot_be_told_as_applied(order: Order) -> None:
    with pytest.raises(ValueError, match="lacks what was bought"):
        answer(order, top_up("applied", applied_at=NOW))
    with pytest.raises(ValueError, match="lacks what was bought"):
        answer(ORDER, top_up("applied"))
