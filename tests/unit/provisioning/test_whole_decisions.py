"""What an instruction leaves of the decision, whole, and on the very instant."""

from datetime import timedelta

import pytest

from services.provisioning.topups.domain.instructions import Ground, fold
from services.provisioning.topups.domain.top_up import State, TopUp
from tests.unit.provisioning.given import GROUND, NOW, PAST, SOON, apply, cancel, captured, resolve, top_up

STUBBORN = Ground(NOW, cancels=False)
TOO_LATE = NOW - timedelta(microseconds=1)


def test_a_first_instruction() -> None:
    assert fold(None, apply(3), GROUND) == (TopUp("pending", 3, 1, SOON, ordinal=1), False)
    assert fold(None, captured(NOW), GROUND) == (TopUp("pending", 1, 1, NOW, ordinal=1), False)
    assert fold(None, captured(TOO_LATE), GROUND) == (TopUp("held", 1, 1, TOO_LATE), False)


def test_a_further_attempt() -> None:
    failed = top_up("failed", reason="x", reached_provider=True, retry_after_seconds=3, act_before=PAST)
    begun = failed._replace(
        state="pending",
        attempt=3,
        version=8,
        act_before=NOW,
        ordinal=3,
        reason=None,
        reached_provider=None,
        retry_after_seconds=None,
    )
    assert fold(failed, apply(3, NOW), GROUND) == (begun, False)
    again = failed._replace(same_ordinal=True)
    assert fold(again, apply(3, NOW), GROUND) == (begun._replace(ordinal=2, same_ordinal=True), False)
    held = failed._replace(state="held", attempt=3, version=8, act_before=TOO_LATE)
    assert fold(failed, apply(3, TOO_LATE), GROUND) == (held, False)


def test_what_is_held_takes_over_a_higher_attempt_that_is_late_as_well() -> None:
    held = top_up("held", act_before=PAST)
    assert fold(held, apply(2, TOO_LATE), GROUND) == (held, False)
    higher = held._replace(attempt=3, version=8, act_before=TOO_LATE)
    assert fold(held, apply(3, TOO_LATE), GROUND) == (higher, False)


def test_a_cancellation_of_nothing() -> None:
    tombstone = TopUp("cancelled", cancel().attempt, 1, NOW, cancel_wanted=True, reason="customer_cancelled")
    assert fold(None, cancel(NOW), GROUND) == (tombstone, True)
    assert fold(None, cancel(TOO_LATE), GROUND) == (None, False)


@pytest.mark.parametrize("before", [top_up("pending"), top_up("held", ordinal=0)])
def test_a_cancellation_of_what_was_not_sent(before: TopUp) -> None:
    ended = before._replace(state="cancelled", version=8, cancel_wanted=True, reason="customer_cancelled")
    assert fold(before, cancel(), GROUND) == (ended, True)


@pytest.mark.parametrize(
    ("state", "unsure"), [("sending", True), ("undetermined", True), ("failed", False), ("held", False)]
)
def test_a_cancellation_of_what_was_sent(state: State, unsure: bool) -> None:
    before = top_up(state, cancel_ordinal=1)
    calling_off = before._replace(
        state="calling_off",
        version=8,
        unsure=unsure,
        cancel_wanted=True,
        reason="customer_cancelled",
        cancel_ordinal=2,
    )
    assert fold(before, cancel(), GROUND) == (calling_off, False)


def test_a_cancellation_while_a_refusal_is_called_off() -> None:
    before = top_up("calling_off", cancel_ordinal=1, reason="refused")
    wanted = before._replace(version=8, cancel_wanted=True, reason="customer_cancelled")
    assert fold(before, cancel(), GROUND) == (wanted, False)
    assert fold(wanted, cancel(), GROUND) == (wanted, False)


@pytest.mark.parametrize("state", ["failed", "held"])
def test_a_cancellation_where_the_carrier_cannot_call_off(state: State) -> None:
    before = top_up(state)
    ended = before._replace(state="cancelled", version=8, cancel_wanted=True, reason="customer_cancelled")
    assert fold(before, cancel(), STUBBORN) == (ended, True)


@pytest.mark.parametrize(("state", "says"), [("sending", False), ("undetermined", True)])
def test_a_cancellation_of_what_the_carrier_cannot_call_off(state: State, says: bool) -> None:
    before = top_up(state)
    wanted = before._replace(version=8, cancel_wanted=True, reason="customer_cancelled")
    assert fold(before, cancel(), STUBBORN) == (wanted, says)
    assert fold(wanted, cancel(), STUBBORN) == (wanted, says)


def test_an_operator_s_decision() -> None:
    before = top_up("undetermined", reason="no_answer")
    applied = before._replace(state="applied", version=8, reason=None, applied_at=NOW)
    assert fold(before, resolve(applied=True), GROUND) == (applied, True)
    rejected = before._replace(state="rejected", version=8, reason="operator_decided")
    assert fold(before, resolve(applied=False, act_before=NOW), GROUND) == (rejected, True)
    wanted = before._replace(cancel_wanted=True)
    cancelled = wanted._replace(state="cancelled", version=8)
    assert fold(wanted, resolve(applied=False), GROUND) == (cancelled, True)
    assert fold(before, resolve(applied=True, act_before=TOO_LATE), GROUND) == (before, False)
