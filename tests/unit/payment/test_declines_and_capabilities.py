"""The tables: what a decline means, what a gateway can do, and that a token shows nowhere."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.payment.domain.calls import call_of
from services.payment.domain.capabilities import GATEWAYS, Resolution, is_quiet, resolution
from services.payment.domain.decline_codes import OURS, PROVIDERS, decline_class
from services.payment.domain.payment import Operation, call_key
from services.payment.methods.store import Given
from tests.unit.payment.story import NOON, RENEWAL, Story

SANDBOX = GATEWAYS["sandbox"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("insufficient_funds", "soft"),
        ("do_not_honor", "soft"),
        ("lost_card", "hard"),
        ("revocation_of_all_authorizations", "hard"),
        ("authentication_required", "needs_customer"),
        ("a_code_nobody_listed", "soft"),
    ],
)
def test_a_decline_code_has_a_class(code: str, expected: str) -> None:
    assert decline_class(code) == expected


def test_no_code_is_in_both_tables() -> None:
    assert OURS.keys() & PROVIDERS.keys() == set()


def test_a_call_is_repeated_only_while_the_gateway_surely_remembers_its_key() -> None:
    edge = SANDBOX.key_memory - SANDBOX.key_margin
    assert resolution(SANDBOX, NOON, NOON + edge - timedelta(seconds=1)) is Resolution.REPEAT
    assert resolution(SANDBOX, NOON, NOON + edge) is Resolution.ASK
    assert edge < SANDBOX.key_memory


def test_a_gateway_without_keys_is_asked_and_one_that_cannot_be_asked_is_parked() -> None:
    keyless = replace(SANDBOX, honours_keys=False)
    assert resolution(keyless, NOON, NOON) is Resolution.ASK
    assert resolution(replace(keyless, can_query=False), NOON, NOON) is Resolution.PARK


def test_nothing_done_is_believed_only_after_window_timeout_and_visibility() -> None:
    timeout = timedelta(seconds=5)
    quiet_at = NOON + timeout + SANDBOX.visibility
    assert not is_quiet(SANDBOX, NOON, timeout, quiet_at)
    assert is_quiet(SANDBOX, NOON, timeout, quiet_at + timedelta(microseconds=1))


def test_a_key_is_the_same_for_the_same_call_and_for_no_other() -> None:
    keys = {
        call_key(RENEWAL, operation, method, ordinal)
        for operation in Operation
        for method in ("card-1", "card-2")
        for ordinal in (1, 2)
    }
    assert len(keys) == len(Operation) * 4
    assert call_key(RENEWAL, Operation.CAPTURE, "card-1", 1) == call_key(RENEWAL, "capture", "card-1", 1)


def test_a_token_is_in_no_text_of_what_carries_it() -> None:
    call = call_of(Story().priced().row, RENEWAL, "tok_secret", 0.0)
    given = Given("card-1", "payer-1", "card", "sandbox", "tok_secret")
    assert call.token == given.token == "tok_secret"
    assert "tok_secret" not in f"{call!r}{call}{given!r}{given}"
