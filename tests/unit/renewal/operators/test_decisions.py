"""What an operator may decide alone, what needs a second person, and when that person comes too late."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import CLOSED, STATES, Renewal, State
from services.renewal.domain.saga import MATRIX, decide
from services.renewal.operators.domain.decision import (
    CHOICES,
    CLASSES,
    ActionName,
    Decision,
    choices,
    possible,
)
from services.renewal.operators.domain.proposal import Proposal, is_replaceable, objection
from tests.unit.renewal.operators.renewals import a_renewal
from tests.unit.renewal.test_matrix import AT, standing

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MOMENT = Moment(AT, POLICY)
PROPOSAL = Proposal(
    UUID(int=1), UUID(int=2), 4, "release", "failed", "as told", "ana", NOW, NOW + timedelta(hours=4)
)


def about(**different: Any) -> Proposal:
    return PROPOSAL._replace(**different)


def test_every_operators_row_of_the_matrix_has_a_name() -> None:
    rows = {action for action in MATRIX if action.__name__.startswith("Operator")}
    assert rows == set(CLASSES.values())
    assert set(get_args(ActionName)) == set(CLASSES)


def test_what_decides_about_money_needs_a_second_person() -> None:
    assert {name for name in CLASSES if Decision(name).needs_second} == {"refund", "resolve", "release"}


@pytest.mark.parametrize("name", CLASSES)
def test_every_action_can_be_asked_for_and_says_who_and_why(name: ActionName) -> None:
    for choice in CHOICES.get(name, (None,)):
        action = Decision(name, choice).asked_by("ana", "as told", "ben")
        assert type(action) is CLASSES[name]
        assert action.told == "by ana, approved by ben: as told"
        assert action.signed == "ana:ben"


def test_what_is_released_is_closed_as_one_of_the_ends_and_what_is_resolved_is_a_finding() -> None:
    """docs/operators.md; nothing else has to be chosen for the other actions."""
    assert set(CHOICES) == {"resolve", "release"}
    assert set(CHOICES["release"]) == CLOSED
    assert set(CHOICES["resolve"]) == {"applied", "not_applied", "captured", "not_captured", "refunded"}


def test_a_proposal_is_about_its_own_decision() -> None:
    assert about().decision == Decision("release", "failed")
    assert about(action="refund", choice=None).decision == Decision("refund")


def test_whoever_decides_alone_signs_alone() -> None:
    action = Decision("retry").asked_by("ana", "as told")
    assert (action.signed, action.told) == ("ana", "by ana: as told")


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("requested", ["retry", "cancel"]),
        ("captured", ["retry", "refund"]),
        ("awaiting_customer", ["cancel"]),
        ("refunding", ["retry"]),
        ("parked", ["refund", "resolve", "release"]),
        ("completed", []),
    ],
)
def test_what_is_possible_follows_from_the_matrix(state: State, names: list[str]) -> None:
    assert state in STATES
    assert possible(standing(state), MOMENT) == names


@pytest.mark.parametrize(
    ("renewal", "names"),
    [
        (standing("cancelling_payment")._replace(reason="declined_hard"), ["retry", "cancel", "refund"]),
        (standing("cancelling_payment")._replace(reason="operator_cancelled"), ["retry"]),
        (
            standing("parked")._replace(
                parked_from="refunding", parked_reason="refund_rejected", top_up="rejected"
            ),
            ["retry", "refund", "resolve", "release"],
        ),
        (
            standing("parked")._replace(
                parked_from="cancelling_payment",
                parked_reason="silence_cancelling_payment",
                top_up=None,
                captured_at=None,
            ),
            ["retry", "cancel", "resolve"],
        ),
    ],
    ids=["given up", "called off already", "its refund hangs", "nothing was captured"],
)
def test_what_would_do_nothing_to_this_renewal_is_not_possible(renewal: Renewal, names: list[str]) -> None:
    """The 409 and the timeline offer it: whoever follows must not be refused with the same words."""
    assert possible(renewal, MOMENT) == names


def test_of_the_choices_those_are_offered_that_would_do_something() -> None:
    assert choices("release", standing("parked"), MOMENT) == ["completed", "refunded"]
    assert choices("resolve", standing("parked"), MOMENT) == ["applied", "not_applied"]
    assert choices("release", standing("captured"), MOMENT) == []
    assert choices("retry", standing("captured"), MOMENT) == [], "nothing has to be chosen for it"


@pytest.mark.parametrize(
    ("name", "renewal", "why"),
    [
        ("cancel", standing("cancelling_payment"), "called off already"),
        ("cancel", standing("captured"), "takes two, so propose refund"),
        ("cancel", standing("parked"), "takes two, so propose refund"),
        ("refund", standing("parked")._replace(captured_at=None), "nothing is captured"),
    ],
)
def test_what_is_not_possible_says_why_of_this_renewal(name: ActionName, renewal: Renewal, why: str) -> None:
    tried = decide(renewal, Decision(name).asked_by("ana", "as told"), MOMENT)
    assert tried.history is None
    assert tried.ignored is not None
    assert why in tried.ignored
    assert name not in possible(renewal, MOMENT)


def test_what_needs_a_price_that_nobody_knows_is_not_possible() -> None:
    unpriced = standing("captured")._replace(amount_minor=None, granted=None)
    assert "retry" not in possible(unpriced, MOMENT)


def test_another_person_may_approve_what_is_open_and_as_it_was() -> None:
    assert objection(about(), "ben", a_renewal("parked", 4), NOW) is None


def test_the_one_who_proposed_may_not_and_is_told_what_they_may() -> None:
    against = objection(about(), "ana", a_renewal("parked", 4), NOW)
    assert against is not None
    assert against.problem == "second-person-needed"
    assert "until 2026-11-23 16:00 UTC" in against.detail
    assert "Possible for ana now: reject." in against.detail


@pytest.mark.parametrize(
    ("proposal", "words"),
    [
        (about(state="approved", decided_by="ben"), "approved by ben"),
        (about(state="rejected", decided_by="ben"), "rejected by ben"),
        (about(state="superseded"), "something else was proposed"),
        (about(expires_at=NOW), "Nobody approved it before 2026-11-23 12:00 UTC"),
    ],
)
def test_what_is_over_is_approved_by_nobody(proposal: Proposal, words: str) -> None:
    against = objection(proposal, "ben", a_renewal("parked", 4), NOW)
    assert against is not None
    assert against.problem == "proposal-not-open"
    assert words in against.detail


def test_what_has_moved_is_approved_by_nobody() -> None:
    against = objection(about(), "ben", a_renewal("refunding", 5), NOW)
    assert against is not None
    assert against.problem == "renewal-has-moved"
    assert "version 4, the renewal is refunding in version 5 now" in against.detail


def test_only_what_can_still_be_approved_stands_in_the_way_of_another_proposal() -> None:
    parked, moved = a_renewal("parked", 4), a_renewal("parked", 6)
    assert not is_replaceable(about(), parked, NOW)
    assert is_replaceable(about(), moved, NOW)
    assert is_replaceable(about(expires_at=NOW), parked, NOW)
