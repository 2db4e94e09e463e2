"""What is asked next, under which key, and which attempts a decision begins and ends."""

from datetime import timedelta

import pytest

from services.provisioning.topups.domain.attempt import (
    Attempt,
    Call,
    Capabilities,
    Patience,
    back_off_seconds,
    closed,
    idempotency_key,
    next_call,
    opened,
)
from services.provisioning.topups.domain.top_up import TopUp
from tests.unit.provisioning.given import FULL, NOW, PATIENCE, RENEWAL, attempt, top_up

SENDING = top_up("sending")
WANTED = top_up("sending", cancel_wanted=True)
CALLING_OFF = top_up("calling_off")
OFTEN = attempt(asked=PATIENCE.repeats + 1)
LONG_AGO = attempt(first_sent_at=NOW - timedelta(hours=23, minutes=55))
KEYLESS = Capabilities(honours_keys=False)
SILENT = Capabilities(queries=False)
MUTE = Capabilities(honours_keys=False, queries=False)


@pytest.mark.parametrize(
    ("decision", "one", "carrier", "call"),
    [
        (SENDING, attempt(status="waiting", asked=0), FULL, "apply"),
        (SENDING, attempt(), FULL, "apply"),
        (SENDING, attempt(), KEYLESS, "find"),
        (SENDING, attempt(), MUTE, "nothing"),
        (SENDING, OFTEN, FULL, "find"),
        (SENDING, OFTEN, SILENT, "nothing"),
        (SENDING, LONG_AGO, FULL, "find"),
        (SENDING, attempt(status="processing", provider_reference="tu_1"), FULL, "look_up"),
        (SENDING, attempt(operation="cancel"), FULL, "cancel"),
        # What is not wanted any more is not sent again, where asking or calling off will do.
        (WANTED, attempt(), FULL, "find"),
        (CALLING_OFF, attempt(), FULL, "find"),
        (CALLING_OFF, attempt(), SILENT, "nothing"),
        (WANTED, attempt(), Capabilities(queries=False, cancels=False), "apply"),
    ],
)
def test_what_is_asked_follows_from_what_the_carrier_can_do(
    decision: TopUp, one: Attempt, carrier: Capabilities, call: Call
) -> None:
    assert next_call(decision, one, carrier, PATIENCE, NOW) == call


def test_a_key_is_not_used_close_to_the_end_of_the_carrier_s_memory() -> None:
    last_use = timedelta(seconds=FULL.key_memory_seconds - PATIENCE.key_margin)
    at_the_margin = attempt(first_sent_at=NOW - last_use)
    just_before = attempt(first_sent_at=NOW - last_use + timedelta(microseconds=1))
    assert next_call(SENDING, at_the_margin, FULL, PATIENCE, NOW) == "find"
    assert next_call(SENDING, just_before, FULL, PATIENCE, NOW) == "apply"


def test_a_key_belongs_to_one_operation_and_one_ordinal() -> None:
    keys = [idempotency_key(RENEWAL, operation, n) for operation in ("apply", "cancel") for n in (1, 2)]
    assert len(set(keys)) == 4
    assert idempotency_key(RENEWAL, "apply", 1) == keys[0]


def test_the_back_off_grows_and_is_bounded() -> None:
    waits = [back_off_seconds(asked, PATIENCE) for asked in (0, 1, 2, 3, 100, 10_000)]
    assert waits == [0.5, 0.5, 1.0, 2.0, 15.0, 15.0]


def test_a_lease_shorter_than_window_and_call_is_refused() -> None:
    with pytest.raises(ValueError, match="outlast"):
        Patience(send_window=3, call=5, lease=8)


def test_a_decision_begins_the_attempts_that_it_asks_for() -> None:
    assert opened(None, top_up("pending")) == [("apply", 2)]
    assert opened(top_up("failed"), top_up("pending", ordinal=3)) == [("apply", 3)]
    assert opened(SENDING, top_up("calling_off", cancel_ordinal=1)) == [("cancel", 1)]
    # It only waits for a worker again: the attempt is the one that was there.
    assert opened(SENDING, top_up("pending")) == []
    assert opened(None, top_up("held")) == opened(None, top_up("cancelled")) == []


def test_a_final_decision_ends_the_attempts_that_may_be_open() -> None:
    calling_off = top_up("calling_off", cancel_ordinal=1)
    assert closed(SENDING, top_up("applied")) == [("apply", 2, "applied")]
    assert closed(calling_off, top_up("applied")) == [("apply", 2, "applied"), ("cancel", 1, "failed")]
    assert closed(calling_off, top_up("cancelled")) == [("apply", 2, "cancelled"), ("cancel", 1, "cancelled")]
    assert closed(top_up("pending"), top_up("cancelled")) == [("apply", 2, "cancelled")]
    assert closed(top_up("pending"), top_up("calling_off", cancel_ordinal=1)) == [("apply", 2, "cancelled")]
    assert closed(SENDING, top_up("calling_off", cancel_ordinal=1)) == []
    assert closed(top_up("failed"), top_up("cancelled")) == []
    assert closed(SENDING, top_up("failed")) == []
