"""What a finding leaves in both rows, whole: nothing of them changes beside what is meant to."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import get_args

import pytest

from services.provisioning.topups.domain.attempt import (
    Attempt,
    Call,
    Capabilities,
    Status,
    is_effectful,
    next_call,
    opened,
)
from services.provisioning.topups.domain.findings import Finding, Kind, Settled, settle
from services.provisioning.topups.domain.top_up import State
from tests.unit.provisioning.given import FULL, KNOWN, NOW, PATIENCE, attempt, top_up

TOMORROW = NOW + timedelta(days=1)
SENDING = top_up("sending", reason="earlier")
CALLING_OFF = top_up("calling_off", unsure=True, cancel_wanted=True, cancel_ordinal=1, reason="asked")
CANCEL = attempt(operation="cancel", ordinal=1)
SENT = attempt(provider_reference="tu_0")
STUBBORN = replace(KNOWN, carrier=Capabilities(cancels=False))
MUTE = replace(KNOWN, carrier=Capabilities(honours_keys=False, queries=False, cancels=False))


def test_applied() -> None:
    found = Finding("applied", provider_reference="tu_1", expires_at=TOMORROW)
    assert settle(SENDING, SENT, found, 1, KNOWN) == Settled(
        SENDING._replace(
            state="applied",
            version=8,
            reason=None,
            provider_reference="tu_1",
            applied_at=NOW,
            expires_at=TOMORROW,
        ),
        SENT._replace(status="applied", ended=True, provider_reference="tu_1"),
        says=True,
    )


def test_applied_as_a_cancellation_learned() -> None:
    settled = settle(CALLING_OFF, CANCEL, Finding("applied", provider_reference="tu_1"), 1, KNOWN)
    assert settled.attempt == CANCEL._replace(status="failed", ended=True, provider_reference="tu_1")
    assert settled.top_up == CALLING_OFF._replace(
        state="applied", version=8, reason=None, provider_reference="tu_1", applied_at=NOW
    )


@pytest.mark.parametrize(
    ("kind", "reason", "said"),
    [
        ("failed", "carrier_failed", "carrier_failed"),
        ("failed", None, "failed"),
        ("refused", "rate_limited", "rate_limited"),
    ],
)
def test_not_applied_and_another_attempt_may_follow(kind: Kind, reason: str | None, said: str) -> None:
    found = Finding(kind, reason, reached_provider=False, retry_after_seconds=9)
    assert settle(SENDING, SENT, found, 1, KNOWN) == Settled(
        SENDING._replace(
            state="failed", version=8, reason=said, reached_provider=False, retry_after_seconds=9
        ),
        SENT._replace(status="failed", ended=True, reason=reason),
        says=True,
    )


def test_absent() -> None:
    settled = settle(SENDING, SENT, Finding("not_found", "no_trace", asked_at=NOW), 1, KNOWN)
    assert settled == Settled(
        SENDING._replace(
            state="failed", version=8, same_ordinal=True, reason="no_trace", reached_provider=True
        ),
        SENT._replace(status="absent", ended=True, reason="no_trace"),
        says=True,
    )


@pytest.mark.parametrize(
    ("one", "asked_at"), [(attempt(send_before=None), NOW), (attempt(), None), (attempt(), NOW)]
)
def test_not_found_says_nothing_of_what_was_never_to_be_sent_or_never_asked(
    one: Attempt, asked_at: datetime | None
) -> None:
    found = Finding("not_found", "no_trace", asked_at=asked_at)
    is_certain = one.send_before is not None and asked_at is not None
    assert settle(SENDING, one, found, 1, KNOWN).says is is_certain


@pytest.mark.parametrize(("kind", "status"), [("rejected", "rejected"), ("called_off", "cancelled")])
def test_refused_for_good_where_nothing_can_be_called_off(kind: Kind, status: Status) -> None:
    assert settle(SENDING, SENT, Finding(kind), 1, STUBBORN) == Settled(
        SENDING._replace(state="rejected", version=8, reason="rejected"),
        SENT._replace(status=status, ended=True),
        says=True,
    )
    wanted = SENDING._replace(cancel_wanted=True)
    assert settle(wanted, SENT, Finding(kind, "x"), 1, STUBBORN) == Settled(
        wanted._replace(state="cancelled", version=8),
        SENT._replace(status=status, ended=True, reason="x"),
        says=True,
    )


def test_refused_for_good_where_it_is_called_off_first() -> None:
    assert settle(SENDING, SENT, Finding("rejected", "not_eligible"), 1, KNOWN) == Settled(
        SENDING._replace(
            state="calling_off", version=8, unsure=True, cancel_ordinal=1, reason="not_eligible"
        ),
        SENT._replace(status="rejected", ended=True, reason="not_eligible"),
    )


@pytest.mark.parametrize(
    ("kind", "status"), [("rejected", "rejected"), ("called_off", "cancelled"), ("failed", "failed")]
)
@pytest.mark.parametrize("state", ["pending", "failed", "held", "undetermined"])
def test_refused_for_good_too_late_ends_the_attempt_only(state: State, kind: Kind, status: Status) -> None:
    before = SENDING._replace(state=state)
    assert settle(before, SENT, Finding(kind, "x"), 1, KNOWN) == Settled(
        before, SENT._replace(status=status, ended=True, reason="x")
    )


def test_not_sent_in_time() -> None:
    late = Finding("late", "send_window_closed")
    assert settle(SENDING, SENT, late, 1, KNOWN) == Settled(
        SENDING._replace(state="pending", version=8), SENT._replace(status="waiting", asked=0)
    )
    again = SENT._replace(asked=3)
    assert settle(SENDING, again, late, 1, KNOWN) == Settled(SENDING, again._replace(asked=2))
    wanted = SENDING._replace(cancel_wanted=True)
    assert settle(wanted, SENT, late, 1, STUBBORN) == Settled(
        wanted._replace(state="cancelled", version=8),
        SENT._replace(status="failed", ended=True, reason="not_sent"),
        says=True,
    )


@pytest.mark.parametrize(("asked", "left"), [(1, 1), (2, 1), (3, 2), (6, 5)])
def test_a_probe_while_the_carrier_is_out_of_order_costs_no_question(asked: int, left: int) -> None:
    one = attempt(asked=asked)
    found = Finding("unknown", "no_answer", is_outage=True, excused=True)
    assert settle(SENDING, one, found, 1, KNOWN) == Settled(
        SENDING, one._replace(asked=left, reason="no_answer")
    )


def test_a_probe_that_was_turned_away_leaves_what_was_sent_as_sent() -> None:
    found = Finding("refused", "no_connection", is_outage=True, excused=True)
    one = attempt(asked=2)
    assert settle(SENDING, one, found, 1, KNOWN) == Settled(
        SENDING, one._replace(asked=1, reason="no_connection")
    )
    first = attempt(asked=1)
    assert settle(SENDING, first, found, 1, KNOWN) == Settled(
        SENDING._replace(state="pending", version=8), first._replace(status="waiting", asked=0)
    )


def test_under_way_at_the_carrier() -> None:
    found = Finding("processing", "in_progress", provider_reference="tu_1", retry_after_seconds=7)
    assert settle(SENDING, attempt(), found, 1, MUTE) == Settled(
        SENDING,
        attempt(status="processing", provider_reference="tu_1", reason="in_progress"),
        wait_seconds=7.0,
    )
    told = settle(SENDING, SENT, Finding("unknown", "no_answer"), 1, KNOWN)
    assert told == Settled(SENDING, SENT._replace(reason="no_answer"), wait_seconds=0.5)


def test_not_found_waits_until_it_would_be_certain() -> None:
    slow = replace(KNOWN, carrier=Capabilities(visibility_seconds=60.0))
    settled = settle(SENDING, SENT, Finding("not_found", asked_at=NOW), 1, slow)
    # Sent until 7 s ago, a call of 5 s, seen 60 s later.
    assert settled.wait_seconds == 58.0
    patient = Finding("not_found", asked_at=NOW, retry_after_seconds=90)
    assert settle(SENDING, SENT, patient, 1, slow).wait_seconds == 90.0


def test_given_up() -> None:
    first_sent_at = NOW - timedelta(seconds=PATIENCE.resolution)
    last = attempt(asked=PATIENCE.repeats + 1, first_sent_at=first_sent_at)
    for finding, reason in ((Finding("unknown", "http_500"), "http_500"), (Finding("unknown"), "no_answer")):
        done = last._replace(status="undetermined", ended=True, reason=finding.reason)
        assert settle(SENDING, last, finding, 1, STUBBORN) == Settled(
            SENDING._replace(state="undetermined", version=8, reason=reason), done, says=True
        )
        assert settle(SENDING, last, finding, 1, KNOWN) == Settled(
            SENDING._replace(state="calling_off", version=8, unsure=True, cancel_ordinal=1, reason=reason),
            done,
        )
        assert settle(CALLING_OFF, last, finding, 1, KNOWN) == Settled(CALLING_OFF, done)
    for sooner in (
        last._replace(asked=PATIENCE.repeats),
        last._replace(first_sent_at=first_sent_at + timedelta(microseconds=1)),
        last._replace(first_sent_at=None),
    ):
        assert not settle(SENDING, sooner, Finding("unknown"), 1, STUBBORN).says


def test_a_cancellation() -> None:
    reason = Finding("called_off", "on_request", provider_reference="c_1")
    assert settle(CALLING_OFF, CANCEL, reason, 1, KNOWN) == Settled(
        CALLING_OFF._replace(state="cancelled", version=8, unsure=False),
        CANCEL._replace(status="cancelled", ended=True, reason="on_request", provider_reference="c_1"),
        says=True,
    )
    unwanted = CALLING_OFF._replace(cancel_wanted=False)
    assert settle(unwanted, CANCEL, reason, 1, KNOWN).top_up.state == "rejected"
    assert settle(CALLING_OFF, CANCEL._replace(asked=2), Finding("unknown", "http_500"), 1, KNOWN) == Settled(
        CALLING_OFF, CANCEL._replace(asked=2, reason="http_500"), wait_seconds=1.0
    )
    assert settle(CALLING_OFF, CANCEL, Finding("late"), 1, KNOWN) == Settled(
        CALLING_OFF, CANCEL._replace(status="waiting", asked=0)
    )
    over = SENDING._replace(state="failed")
    assert settle(over, CANCEL, Finding("unknown", "x"), 1, KNOWN) == Settled(
        over, CANCEL._replace(status="failed", ended=True, reason="x")
    )


def test_a_cancellation_that_is_never_answered() -> None:
    first_sent_at = NOW - timedelta(seconds=PATIENCE.resolution)
    last = CANCEL._replace(asked=PATIENCE.repeats + 1, first_sent_at=first_sent_at)
    done = last._replace(status="undetermined", ended=True, reason="no_answer")
    silence = Finding("unknown", "no_answer")
    assert settle(CALLING_OFF, last, silence, 1, KNOWN) == Settled(
        CALLING_OFF._replace(state="undetermined", version=8, reason="cancellation_unanswered"),
        done,
        says=True,
    )
    sure = CALLING_OFF._replace(unsure=False)
    assert settle(sure, last, silence, 1, KNOWN) == Settled(
        sure._replace(state="cancelled", version=8), done, says=True
    )


def test_what_waits_is_sent_whatever_the_carrier_can_do() -> None:
    waiting = attempt(status="waiting", asked=0, first_sent_at=None, send_before=None)
    for carrier in (FULL, STUBBORN.carrier, MUTE.carrier):
        assert next_call(SENDING, waiting, carrier, PATIENCE, NOW) == "apply"
    assert next_call(SENDING, attempt(asked=PATIENCE.repeats), FULL, PATIENCE, NOW) == "apply"
    assert next_call(SENDING, attempt(asked=PATIENCE.repeats + 1), FULL, PATIENCE, NOW) == "find"


def test_only_applying_and_cancelling_change_anything_at_the_carrier() -> None:
    assert {call for call in get_args(Call) if is_effectful(call)} == {"apply", "cancel"}


def test_an_attempt_that_is_there_is_not_begun_again() -> None:
    assert opened(top_up("pending"), top_up("pending")) == []
    assert opened(CALLING_OFF, CALLING_OFF._replace(version=8)) == []
    assert opened(None, CALLING_OFF) == [("cancel", 1)]
    assert opened(CALLING_OFF, CALLING_OFF._replace(cancel_ordinal=2)) == [("cancel", 2)]
