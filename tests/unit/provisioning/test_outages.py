"""A carrier that is out of order tells nothing about a top-up: nothing is said, spent or given up for it."""

from datetime import timedelta

import pytest

from services.provisioning.topups.domain.attempt import next_call
from services.provisioning.topups.domain.findings import Finding, settle
from services.provisioning.topups.domain.top_up import State
from tests.unit.provisioning.given import FULL, KNOWN, NOW, PATIENCE, attempt, top_up

PUT_OFF = Finding("late", "waits_for_carrier")
NOT_REACHED = Finding("refused", "no_connection", reached_provider=False, is_outage=True, excused=True)
NO_ANSWER = Finding("unknown", "no_answer", is_outage=True, excused=True)
LONG_AGO = NOW - timedelta(days=1)
SENDING = top_up("sending")


@pytest.mark.parametrize("finding", [PUT_OFF, NOT_REACHED])
def test_what_was_not_sent_is_as_if_nobody_had_taken_it(finding: Finding) -> None:
    settled = settle(SENDING, attempt(asked=1), finding, 1, KNOWN)
    assert (settled.top_up.state, settled.attempt.status, settled.attempt.asked) == ("pending", "waiting", 0)
    assert (settled.top_up.attempt, settled.top_up.ordinal) == (SENDING.attempt, SENDING.ordinal)
    assert not settled.says
    assert not settled.attempt.ended


def test_a_failed_probe_is_no_question_however_often_it_is_the_same_attempt() -> None:
    one = attempt(asked=1, first_sent_at=LONG_AGO)
    for _ in range(100):
        claimed = one._replace(asked=one.asked + 1)
        settled = settle(SENDING, claimed, NO_ANSWER, 1, KNOWN)
        assert settled.top_up == SENDING
        assert not settled.attempt.ended
        one = settled.attempt
    assert one.asked == 1


def test_what_was_sent_once_is_never_taken_for_unsent() -> None:
    sent = settle(SENDING, attempt(asked=1), NO_ANSWER, 1, KNOWN).attempt
    assert (sent.status, sent.asked) == ("sending", 1)
    put_off = settle(SENDING, sent._replace(asked=2), PUT_OFF, 1, KNOWN)
    assert (put_off.top_up, put_off.attempt.status, put_off.attempt.asked) == (SENDING, "sending", 1)
    # And a probe that did not reach the carrier is no proof that the first call had no effect.
    again = settle(SENDING, sent._replace(asked=2), NOT_REACHED, 1, KNOWN)
    assert (again.top_up, again.says, again.attempt.asked) == (SENDING, False, 1)
    assert next_call(SENDING, again.attempt, FULL, PATIENCE, NOW) == "apply"


def test_a_cancellation_waits_for_the_carrier_as_long_as_it_takes() -> None:
    calling_off = top_up("calling_off", unsure=True, cancel_wanted=True, cancel_ordinal=1)
    cancel = attempt(operation="cancel", ordinal=1, asked=PATIENCE.repeats + 5, first_sent_at=LONG_AGO)
    for finding in (NO_ANSWER, NOT_REACHED):
        settled = settle(calling_off, cancel, finding, 1, KNOWN)
        assert (settled.top_up, settled.says, settled.attempt.ended) == (calling_off, False, False)


@pytest.mark.parametrize("state", ["sending", "calling_off"])
def test_what_a_lost_lease_brings_of_an_outage_is_dropped(state: State) -> None:
    held = attempt(claim=2)
    for finding in (PUT_OFF, NOT_REACHED, NO_ANSWER):
        assert settle(top_up(state), held, finding, 1, KNOWN).attempt is held


def test_who_does_not_want_what_was_put_off_gets_the_money_back_at_once() -> None:
    settled = settle(top_up("sending", cancel_wanted=True), attempt(asked=1), PUT_OFF, 1, KNOWN)
    assert (settled.top_up.state, settled.says) == ("cancelled", True)
