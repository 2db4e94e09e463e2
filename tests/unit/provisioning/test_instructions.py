"""What an instruction does to a top-up, cell by cell."""

from typing import get_args

import pytest

from services.provisioning.topups.domain.instructions import (
    APPLY,
    CANCEL,
    RESOLVE,
    Ground,
    Instruction,
    fold,
    refuse_unknown,
)
from services.provisioning.topups.domain.top_up import FINAL, SPOKEN, State, TopUp
from tests.unit.provisioning.given import GROUND, NOW, PAST, apply, cancel, captured, resolve, top_up

STATES: tuple[State, ...] = get_args(State)
UNABLE = Ground(NOW, cancels=False)


def test_the_tables_have_every_state() -> None:
    for table in (APPLY, CANCEL, RESOLVE):
        assert set(table) == set(STATES)


def test_a_captured_payment_begins_the_first_attempt() -> None:
    after, says = fold(None, captured(), GROUND)
    assert after is not None
    assert (after.state, after.attempt, after.ordinal, says) == ("pending", 1, 1, False)


def test_a_captured_payment_and_the_command_of_attempt_1_are_one_instruction() -> None:
    assert fold(None, captured(), GROUND) == fold(None, apply(1), GROUND)


def test_a_payment_that_took_several_attempts_begins_the_first_attempt_of_the_top_up() -> None:
    after, _ = fold(None, captured(attempt=3), GROUND)
    assert after is not None
    assert after.attempt == 1
    assert fold(after._replace(state="failed"), captured(attempt=3), GROUND)[0].state == "failed"
    again, _ = fold(after._replace(state="failed"), apply(2), GROUND)
    assert (again.state, again.attempt) == ("pending", 2)


def test_a_late_payment_of_several_attempts_begins_with_the_timely_command_that_follows() -> None:
    held, _ = fold(None, captured(PAST, attempt=2), GROUND)
    assert fold(held, captured(PAST, attempt=2), GROUND) == (held, False)
    after, _ = fold(held, apply(1), GROUND)
    assert after is not None
    assert (after.state, after.ordinal) == ("pending", 1)


def test_a_late_payment_is_held_and_begins_nothing() -> None:
    after, says = fold(None, captured(PAST), GROUND)
    assert after is not None
    assert (after.state, after.ordinal, says) == ("held", 0, False)


def test_a_held_attempt_begins_with_a_timely_command_of_the_same_attempt() -> None:
    held = top_up("held", attempt=1, ordinal=0)
    assert fold(held, apply(1, PAST), GROUND) == (held, False)
    after, says = fold(held, apply(1), GROUND)
    assert (after.state, after.ordinal, says) == ("pending", 1, False)


def test_what_is_timely_is_decided_at_the_instant_itself() -> None:
    after, _ = fold(None, captured(NOW), GROUND)
    assert after is not None
    assert after.state == "pending"


@pytest.mark.parametrize("state", STATES)
def test_a_lower_attempt_begins_nothing(state: State) -> None:
    before = top_up(state)
    assert fold(before, apply(1), GROUND) == (before, state in FINAL)


@pytest.mark.parametrize("state", STATES)
def test_an_equal_attempt_is_answered_again_or_not_at_all(state: State) -> None:
    before = top_up(state)
    after, says = fold(before, apply(2), GROUND)
    assert says == (state in SPOKEN)
    assert (after != before) == (state == "held")


@pytest.mark.parametrize("state", STATES)
def test_a_higher_attempt_begins_only_after_a_known_negative(state: State) -> None:
    before = top_up(state)
    after, says = fold(before, apply(3), GROUND)
    if state in ("failed", "held"):
        assert (after.state, after.attempt, after.ordinal, after.version) == ("pending", 3, 3, 8)
    else:
        assert after == before
        assert says == (state in SPOKEN)


def test_a_late_next_attempt_is_held_and_keeps_its_number() -> None:
    after, says = fold(top_up("failed"), apply(3, PAST), GROUND)
    assert (after.state, after.attempt, after.ordinal, says) == ("held", 3, 2, False)


def test_an_attempt_that_left_no_trace_is_repeated_under_its_key() -> None:
    after, _ = fold(top_up("failed", same_ordinal=True), apply(3), GROUND)
    assert (after.attempt, after.ordinal, after.same_ordinal) == (3, 2, True)


def test_a_new_attempt_forgets_why_the_last_one_failed() -> None:
    failed = top_up("failed", reason="rate_limited", reached_provider=False, retry_after_seconds=5)
    after, _ = fold(failed, apply(3), GROUND)
    assert (after.reason, after.reached_provider, after.retry_after_seconds) == (None, None, None)


def test_an_unknown_subscription_is_rejected() -> None:
    nobody = Ground(NOW, known=False)
    for before in (None, top_up("held"), top_up("failed")):
        after, says = fold(before, apply(3), nobody)
        assert after is not None
        assert (after.state, after.reason, says) == ("rejected", "subscription_unknown", True)
    late, says = fold(None, captured(PAST), nobody)
    assert late is not None
    assert (late.state, says) == ("held", False)


def test_refusing_is_one_version_later() -> None:
    assert refuse_unknown(top_up("pending"))[0].version == 8


def test_a_cancellation_of_nothing_leaves_a_tombstone_that_answers_a_later_payment() -> None:
    tombstone, says = fold(None, cancel(), GROUND)
    assert tombstone is not None
    assert (tombstone.state, tombstone.reason, says) == ("cancelled", "customer_cancelled", True)
    assert fold(tombstone, captured(), GROUND) == (tombstone, True)
    assert fold(tombstone, cancel(), GROUND) == (tombstone, True)


def test_a_late_cancellation_of_nothing_leaves_nothing() -> None:
    assert fold(None, cancel(PAST), GROUND) == (None, False)


@pytest.mark.parametrize("state", STATES)
def test_a_late_cancellation_changes_nothing(state: State) -> None:
    before = top_up(state)
    assert fold(before, cancel(PAST), GROUND) == (before, state in SPOKEN)


@pytest.mark.parametrize("before", [top_up("pending"), top_up("held", ordinal=0)])
def test_what_was_not_sent_is_cancelled_at_once(before: TopUp) -> None:
    after, says = fold(before, cancel(), GROUND)
    assert (after.state, after.cancel_wanted, after.reason, says) == (
        "cancelled",
        True,
        "customer_cancelled",
        True,
    )


def test_what_was_only_looked_for_in_vain_is_called_off_though_the_next_try_was_not_sent() -> None:
    after, says = fold(top_up("pending", same_ordinal=True), cancel(), GROUND)
    assert (after.state, after.unsure, after.cancel_ordinal, says) == ("calling_off", False, 1, False)
    unable, says = fold(top_up("pending", same_ordinal=True), cancel(), UNABLE)
    assert (unable.state, says) == ("cancelled", True)


@pytest.mark.parametrize("state", ["sending", "failed", "held", "undetermined"])
def test_what_may_have_been_sent_is_called_off_at_the_carrier_first(state: State) -> None:
    after, says = fold(top_up(state), cancel(), GROUND)
    assert (after.state, after.cancel_ordinal, after.cancel_wanted, says) == ("calling_off", 1, True, False)
    assert after.unsure == (state in ("sending", "undetermined"))


def test_where_the_carrier_cannot_call_off_the_outcome_is_waited_for() -> None:
    after, says = fold(top_up("sending"), cancel(), UNABLE)
    assert (after.state, after.cancel_wanted, says) == ("sending", True, False)
    assert fold(after, cancel(), UNABLE) == (after, False)


def test_where_the_carrier_cannot_call_off_a_known_negative_is_enough() -> None:
    for state in ("failed", "held"):
        after, says = fold(top_up(state), cancel(), UNABLE)
        assert (after.state, says) == ("cancelled", True)


def test_where_the_carrier_cannot_call_off_the_undetermined_stays_so() -> None:
    after, says = fold(top_up("undetermined"), cancel(), UNABLE)
    assert (after.state, after.cancel_wanted, says) == ("undetermined", True, True)


def test_cancelling_again_while_calling_off_is_nothing_new() -> None:
    wanted = top_up("calling_off", cancel_wanted=True, cancel_ordinal=1)
    assert fold(wanted, cancel(), GROUND) == (wanted, False)
    refused = top_up("calling_off", cancel_ordinal=1, reason="profile_not_eligible")
    after, says = fold(refused, cancel(), GROUND)
    assert (after.cancel_wanted, after.cancel_ordinal, says) == (True, 1, False)


@pytest.mark.parametrize("ground", [GROUND, UNABLE], ids=["can call off", "cannot"])
@pytest.mark.parametrize("state", ["sending", "calling_off", "undetermined"])
def test_what_is_said_after_it_is_called_off_anew_names_that_attempt(state: State, ground: Ground) -> None:
    """The saga drops what was said of the attempt before."""
    before = top_up(state, cancel_wanted=True)
    again, _ = fold(before, cancel(attempt=3), ground)
    assert (again.attempt, again.version > before.version) == (3, True)
    for older in (1, 2):
        assert fold(again, cancel(attempt=older), ground)[0].attempt == 3, "read late, it is not gone back to"
    assert fold(before, cancel(PAST, attempt=3), ground)[0] == before


def test_where_the_carrier_cannot_call_off_a_new_question_is_answered_anew() -> None:
    first, _ = fold(top_up("undetermined"), cancel(attempt=2), UNABLE)
    second, says = fold(first, cancel(attempt=3), UNABLE)
    assert (second.state, second.attempt, says) == ("undetermined", 3, True)
    assert second.version == first.version + 1, "another event, not the one that was published"
    assert fold(second, cancel(attempt=3), UNABLE) == (second, True)


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize(
    "instruction", [captured(), apply(3), apply(1, PAST), cancel(), cancel(PAST), resolve(applied=True)]
)
def test_a_final_answer_is_repeated_and_never_changed(state: State, instruction: Instruction) -> None:
    before = top_up(state)
    assert fold(before, instruction, GROUND) == (before, True)


@pytest.mark.parametrize("state", [state for state in STATES if state not in FINAL | {"undetermined"}])
def test_an_operator_decides_nothing_that_can_still_be_learned(state: State) -> None:
    before = top_up(state)
    assert fold(before, resolve(applied=True), GROUND) == (before, False)


def test_an_operator_settles_what_could_not_be_learned() -> None:
    applied, says = fold(top_up("undetermined"), resolve(applied=True), GROUND)
    assert (applied.state, applied.applied_at, says) == ("applied", NOW, True)
    rejected, _ = fold(top_up("undetermined"), resolve(applied=False), GROUND)
    assert (rejected.state, rejected.reason) == ("rejected", "operator_decided")
    cancelled, _ = fold(top_up("undetermined", cancel_wanted=True), resolve(applied=False), GROUND)
    assert cancelled.state == "cancelled"
    held_back = top_up("undetermined")
    assert fold(held_back, resolve(applied=True, act_before=PAST), GROUND) == (held_back, False)


def test_an_operator_cannot_resolve_what_is_not_there() -> None:
    assert fold(None, resolve(applied=True), GROUND) == (None, False)
