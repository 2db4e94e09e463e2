"""A carrier that is out of order tells nothing about a top-up: nothing is said, spent or given up for it."""

from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest

from services.provisioning.topups.calls import Outcome, TopUpCalls
from services.provisioning.topups.decisions import Job
from services.provisioning.topups.domain.attempt import Call, next_call
from services.provisioning.topups.domain.findings import Finding, settle
from services.provisioning.topups.domain.top_up import State
from services.provisioning.topups.gateways.carrier import Carrier, Carriers, Connected
from shared.calls.breaker import Sign
from tests.unit.provisioning.given import FULL, KNOWN, NOW, ORDER, PATIENCE, attempt, top_up

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


class Busy:
    """A carrier that turns every request away, and counts them."""

    def __init__(self) -> None:
        self.requests = 0

    def __getattr__(self, _name: str) -> object:
        async def turned_away(*_asked: object) -> Finding:
            self.requests += 1
            return Finding("refused", "rate_limited", reached_provider=False)

        return turned_away


def calls_to(carrier: Busy) -> TopUpCalls:
    return TopUpCalls(Carriers({}, Connected(cast(Carrier, carrier), FULL)), PATIENCE)


def job(call: Call, *, send_by: float = float("inf")) -> Job:
    return Job(ORDER, "apply", 1, 1, call, UUID(int=1), send_by, "order-1", NOW)


@pytest.mark.parametrize("one", [job("nothing"), job("apply", send_by=0.0)], ids=["cannot be asked", "late"])
async def test_a_call_that_asked_nobody_is_no_probe_of_the_carrier(one: Job) -> None:
    carrier = Busy()
    calls = calls_to(carrier)
    outcome = await calls.call(one)
    assert carrier.requests == 0
    assert calls.sign(one, outcome) is Sign.NOTHING


@pytest.mark.parametrize("call", ["apply", "cancel", "find", "look_up"])
async def test_a_carrier_that_is_busy_has_answered(call: Call) -> None:
    carrier = Busy()
    calls, one = calls_to(carrier), job(call)
    outcome = await calls.call(one)
    assert carrier.requests == 1
    assert calls.sign(one, outcome) is Sign.ANSWERED


@pytest.mark.parametrize("finding", [NOT_REACHED, NO_ANSWER])
def test_a_carrier_that_is_out_of_order_has_failed(finding: Finding) -> None:
    one = job("apply")
    assert calls_to(Busy()).sign(one, Outcome(one, finding)) is Sign.FAILED
