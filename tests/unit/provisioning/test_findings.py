"""What an answer of the carrier does to the attempt and to the decision."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from services.provisioning.topups.domain.attempt import Attempt, Capabilities, absence_is_certain_at
from services.provisioning.topups.domain.findings import Finding, Kind, settle
from services.provisioning.topups.domain.top_up import FINAL, State, TopUp
from tests.unit.provisioning.given import FULL, KNOWN, NOW, PATIENCE, attempt, top_up

KINDS: tuple[Kind, ...] = get_args(Kind)
APPLIED = Finding("applied", provider_reference="tu_1", expires_at=NOW + timedelta(days=1))
UNKNOWN = Finding("unknown", "no_answer")
NOT_FOUND = Finding("not_found", "not_found", asked_at=NOW)
SENDING = top_up("sending")
CALLING_OFF = top_up(
    "calling_off", unsure=True, cancel_wanted=True, cancel_ordinal=1, reason="customer_cancelled"
)
CANCEL = attempt(operation="cancel", ordinal=1)
UNABLE = replace(KNOWN, carrier=Capabilities(cancels=False))
KEYLESS = replace(KNOWN, carrier=Capabilities(honours_keys=False))
MUTE = replace(KNOWN, carrier=Capabilities(honours_keys=False, queries=False, cancels=False))


def exhausted(one: Attempt) -> Attempt:
    """Asked often enough, for long enough."""
    first_sent_at = NOW - timedelta(seconds=PATIENCE.resolution)
    return one._replace(asked=PATIENCE.repeats + 1, first_sent_at=first_sent_at)


def test_an_applied_top_up_is_final_and_keeps_what_the_carrier_said() -> None:
    settled = settle(SENDING, attempt(), APPLIED, 1, KNOWN)
    assert (settled.top_up.state, settled.says, settled.attempt.status) == ("applied", True, "applied")
    assert (settled.top_up.provider_reference, settled.top_up.applied_at) == ("tu_1", NOW)
    assert settled.top_up.expires_at == APPLIED.expires_at
    assert settled.attempt.ended


@pytest.mark.parametrize("state", ["pending", "sending", "failed", "held", "calling_off", "undetermined"])
def test_good_news_counts_whoever_brings_it_and_however_late(state: State) -> None:
    settled = settle(top_up(state), attempt(claim=5, ended=True), APPLIED, 1, KNOWN)
    assert (settled.top_up.state, settled.says) == ("applied", True)


def test_good_news_twice_is_said_once() -> None:
    applied = top_up("applied")
    settled = settle(applied, attempt(), APPLIED, 1, KNOWN)
    assert (settled.top_up, settled.says, settled.contradiction) == (applied, False, False)


@pytest.mark.parametrize("state", ["rejected", "cancelled"])
def test_good_news_after_the_opposite_was_said_is_an_alarm_and_no_second_answer(state: State) -> None:
    settled = settle(top_up(state), attempt(), APPLIED, 1, KNOWN)
    assert (settled.top_up.state, settled.says, settled.contradiction) == (state, False, True)
    assert settled.attempt.status == "applied"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "applied"])
@pytest.mark.parametrize("one", [attempt(claim=2), attempt(ended=True), CANCEL._replace(claim=2)])
def test_anything_else_from_a_lost_lease_or_an_ended_attempt_is_dropped(kind: Kind, one: Attempt) -> None:
    settled = settle(SENDING, one, Finding(kind, "whatever"), 1, KNOWN)
    assert (settled.top_up, settled.attempt, settled.says) == (SENDING, one, False)


def test_a_refusal_for_good_is_called_off_before_it_is_said() -> None:
    settled = settle(SENDING, attempt(), Finding("rejected", "product_unavailable"), 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.unsure, settled.says) == ("calling_off", True, False)
    assert settled.attempt.status == "rejected"

    final = settle(settled.top_up, CANCEL, Finding("called_off"), 1, KNOWN)
    assert (final.top_up.state, final.top_up.reason, final.says) == ("rejected", "product_unavailable", True)


def test_a_refusal_for_good_is_said_at_once_where_the_carrier_cannot_call_off() -> None:
    settled = settle(SENDING, attempt(), Finding("rejected", "product_unavailable"), 1, UNABLE)
    assert (settled.top_up.state, settled.top_up.reason, settled.says) == (
        "rejected",
        "product_unavailable",
        True,
    )


def test_a_refusal_for_good_ends_as_cancelled_where_that_was_wanted() -> None:
    wanted = SENDING._replace(cancel_wanted=True, reason="customer_cancelled")
    settled = settle(wanted, attempt(), Finding("rejected", "product_unavailable"), 1, UNABLE)
    assert (settled.top_up.state, settled.says) == ("cancelled", True)


def test_a_reference_that_somebody_called_off_is_rejected() -> None:
    settled = settle(SENDING, attempt(), Finding("called_off", "topup_cancelled"), 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.reason, settled.says) == (
        "rejected",
        "topup_cancelled",
        True,
    )


def test_a_failure_at_the_carrier_is_answered_and_the_next_attempt_has_a_new_key() -> None:
    settled = settle(SENDING, attempt(), Finding("failed", "carrier_failed"), 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.same_ordinal, settled.says) == ("failed", False, True)
    assert settled.top_up.reached_provider is True


def test_a_first_call_that_was_turned_away_is_a_known_negative() -> None:
    turned_away = Finding("refused", "rate_limited", reached_provider=False, retry_after_seconds=7)
    settled = settle(SENDING, attempt(), turned_away, 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.reached_provider) == ("failed", False)
    assert settled.top_up.retry_after_seconds == 7


def test_a_later_call_that_was_turned_away_says_nothing_about_the_earlier_ones() -> None:
    turned_away = Finding("refused", "rate_limited", reached_provider=False, retry_after_seconds=7)
    settled = settle(SENDING, attempt(asked=2), turned_away, 1, KNOWN)
    assert (settled.top_up, settled.says, settled.attempt.ended) == (SENDING, False, False)
    assert settled.wait_seconds == 7


def test_not_found_is_negative_only_when_the_last_request_must_have_arrived() -> None:
    last = attempt()
    assert last.send_before is not None
    certain_at = absence_is_certain_at(last.send_before, FULL, PATIENCE)
    early = settle(SENDING, last, NOT_FOUND._replace(asked_at=certain_at), 1, KNOWN)
    assert (early.top_up, early.attempt.ended) == (SENDING, False)

    just_after = NOT_FOUND._replace(asked_at=certain_at + timedelta(microseconds=1))
    settled = settle(SENDING, last, just_after, 1, replace(KNOWN, now=certain_at + timedelta(seconds=1)))
    assert (settled.top_up.state, settled.attempt.status, settled.says) == ("failed", "absent", True)


def test_not_found_before_that_is_asked_again_not_before_it_can_be_certain() -> None:
    late_window = attempt(send_before=NOW + timedelta(seconds=2))
    settled = settle(SENDING, late_window, NOT_FOUND, 1, KNOWN)
    assert settled.wait_seconds == 2 + PATIENCE.call


def test_a_carrier_that_shows_top_ups_late_is_given_that_time() -> None:
    slow = replace(KNOWN, carrier=Capabilities(visibility_seconds=60))
    assert settle(SENDING, attempt(), NOT_FOUND, 1, slow).top_up == SENDING


def test_not_found_never_raises_the_ordinal_where_keys_are_honoured() -> None:
    with_keys = settle(SENDING, attempt(), NOT_FOUND, 1, KNOWN)
    without = settle(SENDING, attempt(), NOT_FOUND, 1, KEYLESS)
    assert (with_keys.top_up.same_ordinal, without.top_up.same_ordinal) == (True, False)


def test_no_answer_is_asked_about_again_at_growing_intervals() -> None:
    waits = [settle(SENDING, attempt(asked=n), UNKNOWN, 1, KNOWN).wait_seconds for n in range(1, 10)]
    assert waits == [0.5, 1, 2, 4, 8, 15, 15, 15, 15]


def test_processing_is_remembered_by_the_carrier_s_reference() -> None:
    settled = settle(SENDING, attempt(), Finding("processing", provider_reference="tu_1"), 1, KNOWN)
    assert (settled.attempt.status, settled.attempt.provider_reference) == ("processing", "tu_1")
    assert not settled.attempt.ended


@pytest.mark.parametrize("kind", ["unknown", "processing"])
def test_what_is_not_learned_in_time_is_called_off_whoever_could_be_asked(kind: Kind) -> None:
    settled = settle(SENDING, exhausted(attempt()), Finding(kind, "no_answer"), 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.unsure, settled.says) == ("calling_off", True, False)
    assert (settled.attempt.status, settled.attempt.ended) == ("undetermined", True)


@pytest.mark.parametrize("kind", ["unknown", "processing"])
def test_what_can_neither_be_learned_in_time_nor_called_off_is_undetermined(kind: Kind) -> None:
    settled = settle(SENDING, exhausted(attempt()), Finding(kind, "no_answer"), 1, UNABLE)
    assert (settled.top_up.state, settled.attempt.status, settled.says) == (
        "undetermined",
        "undetermined",
        True,
    )


def test_after_a_long_outage_it_is_asked_some_times_before_giving_up() -> None:
    stale = attempt(first_sent_at=NOW - timedelta(hours=5))
    assert settle(SENDING, stale, UNKNOWN, 1, KNOWN).top_up == SENDING


def test_a_carrier_that_cannot_be_asked_at_all_leaves_it_undetermined_at_once() -> None:
    assert settle(SENDING, attempt(), UNKNOWN, 1, MUTE).top_up.state == "undetermined"


def test_a_carrier_that_can_only_call_off_is_asked_to() -> None:
    only_cancels = replace(KNOWN, carrier=Capabilities(honours_keys=False, queries=False))
    settled = settle(SENDING, attempt(), UNKNOWN, 1, only_cancels)
    assert (settled.top_up.state, settled.top_up.unsure) == ("calling_off", True)


def test_what_was_not_written_in_time_goes_back_to_waiting() -> None:
    settled = settle(SENDING, attempt(), Finding("late"), 1, KNOWN)
    assert (settled.top_up.state, settled.attempt.status, settled.attempt.asked) == ("pending", "waiting", 0)
    again = settle(SENDING, attempt(asked=3), Finding("late"), 1, KNOWN)
    assert (again.top_up, again.attempt.status, again.attempt.asked) == (SENDING, "sending", 2)


def test_what_was_not_written_in_time_needs_no_calling_off_any_more() -> None:
    settled = settle(SENDING._replace(cancel_wanted=True), attempt(), Finding("late"), 1, UNABLE)
    assert (settled.top_up.state, settled.says) == ("cancelled", True)
    calling = settle(CALLING_OFF, attempt(), Finding("late"), 1, KNOWN)
    assert (calling.top_up.unsure, calling.attempt.ended) == (False, True)


def test_a_negative_where_cancelling_is_wanted_is_the_cancellation() -> None:
    wanted = SENDING._replace(cancel_wanted=True, reason="customer_cancelled")
    settled = settle(wanted, attempt(), Finding("failed", "carrier_failed"), 1, UNABLE)
    assert (settled.top_up.state, settled.top_up.reason, settled.says) == (
        "cancelled",
        "customer_cancelled",
        True,
    )


@pytest.mark.parametrize(("kind", "unsure"), [("failed", False), ("rejected", True), ("called_off", False)])
def test_a_negative_while_calling_off_waits_for_the_carrier_s_word(kind: Kind, unsure: bool) -> None:
    settled = settle(CALLING_OFF, attempt(), Finding(kind, "x"), 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.unsure, settled.says) == ("calling_off", unsure, False)


def test_a_refusal_that_could_not_be_called_off_is_not_believed() -> None:
    refused = settle(SENDING, attempt(), Finding("rejected", "product_unavailable"), 1, KNOWN)
    settled = settle(refused.top_up, exhausted(CANCEL), UNKNOWN, 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.reason, settled.says) == (
        "undetermined",
        "cancellation_unanswered",
        True,
    )


def test_called_off_at_the_carrier_is_cancelled() -> None:
    settled = settle(CALLING_OFF, CANCEL, Finding("called_off"), 1, KNOWN)
    assert (settled.top_up.state, settled.top_up.reason, settled.says) == (
        "cancelled",
        "customer_cancelled",
        True,
    )


def test_a_cancellation_that_came_too_late_finds_it_applied() -> None:
    settled = settle(CALLING_OFF, CANCEL, APPLIED, 1, KNOWN)
    assert (settled.top_up.state, settled.says, settled.attempt.status) == ("applied", True, "failed")


@pytest.mark.parametrize("kind", ["unknown", "refused", "rejected", "failed", "not_found", "processing"])
def test_a_cancellation_without_an_answer_is_repeated(kind: Kind) -> None:
    settled = settle(CALLING_OFF, CANCEL, Finding(kind, "x"), 1, KNOWN)
    assert (settled.top_up, settled.attempt.ended, settled.wait_seconds) == (CALLING_OFF, False, 0.5)


def test_a_cancellation_never_answered_leaves_the_unsure_undetermined() -> None:
    settled = settle(CALLING_OFF, exhausted(CANCEL), UNKNOWN, 1, KNOWN)
    assert (settled.top_up.state, settled.says) == ("undetermined", True)


def test_a_cancellation_never_answered_is_not_needed_where_the_negative_is_known() -> None:
    settled = settle(CALLING_OFF._replace(unsure=False), exhausted(CANCEL), UNKNOWN, 1, KNOWN)
    assert (settled.top_up.state, settled.says) == ("cancelled", True)


def test_a_late_cancellation_call_is_claimed_again() -> None:
    settled = settle(CALLING_OFF, CANCEL, Finding("late"), 1, KNOWN)
    assert (settled.top_up, settled.attempt.status, settled.attempt.asked) == (CALLING_OFF, "waiting", 0)


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("one", [attempt(), CANCEL, exhausted(attempt()), exhausted(CANCEL)])
def test_no_answer_of_the_carrier_changes_what_is_final(state: State, kind: Kind, one: Attempt) -> None:
    before: TopUp = top_up(state)
    settled = settle(before, one, Finding(kind, "x", asked_at=NOW), 1, KNOWN)
    assert (settled.top_up, settled.says) == (before, False)
