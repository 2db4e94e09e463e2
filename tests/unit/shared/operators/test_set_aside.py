"""What may be done to a key that was set aside, by whom, until when."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared.operators.set_aside import (
    KeyProposal,
    Place,
    ProposalState,
    WaitingKey,
    against,
    against_approval,
    against_decision,
)
from shared.operators.set_aside_views import key_view

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = WaitingKey("saga", "k", b"sub-1", "v1", 2, NOW, None, "prices.v1", "Priced", "KeyError: 'x'")
LET_GO = KEY._replace(released_at=NOW)
PROPOSAL = KeyProposal(
    UUID(int=1), "release", "saga", ["k", "l"], ["v1", "v2"], None, None, None, "why", "ana", NOW, NOW + HOUR
)


def test_the_versions_of_a_proposal_belong_to_its_keys() -> None:
    assert PROPOSAL.seen == {"k": "v1", "l": "v2"}


def test_a_proposal_is_about_a_record_or_about_whole_keys() -> None:
    assert PROPOSAL.record is None
    discarding = PROPOSAL._replace(record_topic="prices.v1", record_partition=0, record_offset=0)
    assert discarding.record == Place("prices.v1", 0, 0)


def test_a_key_that_waits_is_let_go_and_one_that_was_is_kept_back() -> None:
    assert KEY.allowed == ["discard", "release"]
    assert LET_GO.allowed == ["discard", "hold"]
    assert against("release", "k", "v1", KEY) is None
    assert against("hold", "k", "v1", LET_GO) is None
    assert against("discard", "k", "v1", KEY) is against("discard", "k", "v1", LET_GO) is None


@pytest.mark.parametrize(
    ("key", "version", "problem", "words"),
    [
        (None, "v1", "set-aside-key-not-found", "No record of the key k waits"),
        (KEY, "v0", "set-aside-has-moved", "made on version v0, the key k is in version v1 now"),
        (LET_GO, "v0", "set-aside-has-moved", "Look at its records again"),
        (LET_GO, "v1", "set-aside-not-possible-now", "was let go at 2026-11-23 12:00:00 UTC"),
        (LET_GO, "v1", "set-aside-not-possible-now", "Possible now: discard, hold."),
    ],
)
def test_what_cannot_be_let_go_says_why(
    key: WaitingKey | None, version: str, problem: str, words: str
) -> None:
    objection = against("release", "k", version, key)
    assert objection is not None
    assert (objection.problem, words in objection.detail) == (problem, True)


def test_what_was_never_let_go_is_not_kept_back() -> None:
    objection = against("hold", "k", "v1", KEY)
    assert objection is not None
    assert objection.detail == "The key k waits. Possible now: discard, release."


def test_another_operator_approves_until_its_time_is_over() -> None:
    assert against_approval(PROPOSAL, "ben", NOW) is None
    assert against_approval(PROPOSAL, "ben", NOW + HOUR - timedelta(seconds=1)) is None
    late = against_approval(PROPOSAL, "ben", NOW + HOUR)
    assert late is not None
    assert (late.problem, "2026-11-23 13:00" in late.detail) == ("set-aside-proposal-not-open", True)


def test_who_proposed_cannot_approve_but_take_it_back() -> None:
    own = against_approval(PROPOSAL, "ana", NOW)
    assert own is not None
    assert (own.problem, "Possible for ana now: reject." in own.detail) == ("second-person-needed", True)
    assert against_decision(PROPOSAL, NOW) is None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("approved", "It was approved by ben and carried out."),
        ("rejected", "It was rejected by ben."),
    ],
)
def test_what_is_decided_is_decided_once_and_says_how(state: ProposalState, words: str) -> None:
    decided = PROPOSAL._replace(state=state, decided_by="ben")
    assert decided.state_at(NOW + 2 * HOUR) == state
    for objection in (against_approval(decided, "ana", NOW), against_decision(decided, NOW)):
        assert objection is not None
        assert (objection.problem, words in objection.detail) == ("set-aside-proposal-not-open", True)


def test_a_key_that_names_an_esim_is_shown_by_its_last_digits() -> None:
    shown = key_view(KEY._replace(key=b"8953010123456789012"))
    assert shown.key == "[number ending 9012]"
    assert key_view(KEY._replace(key=None)).key is None
    assert key_view(KEY._replace(key=b"\xff")).key == "\\xff"
