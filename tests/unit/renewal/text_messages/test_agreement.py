"""What a reply may renew: what was agreed to before, no more."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renewal.domain.admission import Refusal
from services.renewal.domain.asking import Request
from services.renewal.rules.domain.judgement import Told
from services.renewal.rules.domain.rule import Offerings, Pause
from services.renewal.rules.domain.spending import Charge
from services.renewal.rules.dunning import DUNNING
from services.renewal.text_messages.domain.agreement import NO_ROOM, RULE_PAUSED, agreed, caller_of
from services.renewal.text_messages.domain.reply import Holder, Reply
from tests.unit.renewal.rules.given import mandate, told
from tests.unit.renewal.story import T0

REPLY = Reply("sms-a", "m-1", b"", T0, "1234", "renew", "not_understood", "sub-1")
HOLDER = Holder("sub-1", "active", "ana")
METHODS = ("card-1 ana active",)
DAY = timedelta(days=1)


def asked(known: Told | None = None, reply: Reply = REPLY) -> Request | Refusal:
    return agreed(reply, HOLDER, told() if known is None else known, METHODS, T0, None)


def wanted(known: Told | None = None, reply: Reply = REPLY) -> Request:
    found = asked(known, reply=reply)
    assert isinstance(found, Request), found
    return found


def test_it_asks_as_a_person_for_the_rules_offering_up_to_what_was_agreed_to() -> None:
    request = wanted(told(offerings=Offerings(same="cuba-1gb", up="cuba-5gb")))
    assert (request.origin, request.offering_id, request.max_amount_minor) == ("customer", "cuba-1gb", 800)
    assert (request.currency, request.payment_method_ids, request.payer_id) == ("USD", ("card-1",), None)
    assert (request.caller, request.request_id, request.dunning_try) == ("text-messages:sms-a", "m-1", None)


@pytest.mark.parametrize(
    ("methods", "paid_with"),
    [
        (("card-1 ana expired", "card-2 ana active", "card-3 ana active"), ("card-2", "card-3")),
        (("card-1 ana active", "card-2 ana removed", "card-3 ana active"), ("card-1", "card-3")),
        (("card-1 ana expired", "card-2 ana removed"), ("card-1", "card-2", "card-3")),
    ],
)
def test_methods_that_are_not_active_any_more_are_passed_over_unless_none_is(
    methods: tuple[str, ...], paid_with: tuple[str, ...]
) -> None:
    known = told(payment_method_ids=("card-1", "card-2", "card-3"))
    found = agreed(REPLY, HOLDER, known, methods, T0, None)
    assert isinstance(found, Request)
    assert found.payment_method_ids == paid_with


def test_it_is_traced_as_the_message_was() -> None:
    found = agreed(REPLY, HOLDER, told(), METHODS, T0, "00-trace")
    assert isinstance(found, Request)
    assert found.traceparent == "00-trace"


def test_one_message_is_one_renewal_and_another_gateways_message_is_another() -> None:
    replies = [REPLY, REPLY._replace(message_id="m-2"), REPLY._replace(gateway="sms-b")]
    first = [wanted(reply=reply).renewal_id for reply in replies]
    assert first == [wanted(reply=reply).renewal_id for reply in replies]
    assert len(set(first)) == 3


@given(consent=st.integers(1, 2_000), cap=st.integers(1, 2_000))
def test_it_never_asks_for_more_than_the_consent_or_the_cap(consent: int, cap: int) -> None:
    known = told(cap_amount_minor=cap, mandate=mandate(max_amount_minor=consent))
    assert wanted(known).max_amount_minor == min(consent, cap)


@pytest.mark.parametrize(
    ("reason", "known"),
    [
        ("rule_missing", Told()),
        ("rule_off", told(enabled=False)),
        ("rule_paused", told(Pause(T0, "olga", "A stolen telephone."))),
        ("valid_until", told(valid_until=T0)),
        ("consent_missing", told(mandate=None)),
        ("consent_missing", told(mandate=mandate(currency="EUR"))),
        ("consent_missing", told(payer_id="somebody-else")),
        ("consent_revoked", told(mandate=mandate(revoked_at=T0 - DAY))),
        ("consent_expired", told(mandate=mandate(valid_until=T0))),
        ("max_number", told(max_renewals=1, charges=[Charge(T0 - DAY, 800, "USD")])),
        ("cool_down", told(cool_down_seconds=172_800, charges=[Charge(T0 - DAY, 800, "USD")])),
    ],
)
def test_without_an_agreement_that_holds_it_asks_for_nothing(reason: str, known: Told) -> None:
    found = asked(known)
    assert isinstance(found, Refusal), found
    assert (found.reason, found.detail.endswith(".")) == (reason, True)


@pytest.mark.parametrize("pause", [None, Pause(T0, DUNNING, "No card could pay.")])
@pytest.mark.parametrize("opt_out", [None, Pause(T0, caller_of("sms-a"), "Stopped.")])
def test_a_pause_that_nobody_else_decided_does_not_hinder_who_asks_in_person(
    pause: Pause | None, opt_out: Pause | None
) -> None:
    assert wanted(told(pause, opt_out=opt_out))


def test_a_pause_that_somebody_decided_hinders_also_who_has_opted_out() -> None:
    stopped = Pause(T0, caller_of("sms-a"), "Stopped.")
    assert asked(told(Pause(T0, "olga", "A stolen telephone."), opt_out=stopped)) == RULE_PAUSED


@pytest.mark.parametrize(
    ("caps", "reason"),
    [({"cap_day_minor": 1_000}, "cap_day"), ({"cap_period_minor": 1_000, "period_days": 7}, "cap_period")],
)
def test_what_was_charged_upon_the_consent_counts_against_the_rules_caps(
    caps: dict[str, Any], reason: str
) -> None:
    hour = timedelta(hours=1)
    one, two = Charge(T0 - hour, 600, "USD"), Charge(T0 - 2 * hour, 500, "USD")
    assert wanted(told(**caps, charges=[one])).max_amount_minor == 400
    found = asked(told(**caps, charges=[one, two]))
    assert isinstance(found, Refusal)
    assert found.reason == reason


def test_whoever_asks_too_soon_is_told_what_to_wait_for() -> None:
    assert set(NO_ROOM) == {"cool_down", "cap_day", "cap_period"}
    words = {"cool_down": "cool-down", "cap_day": "within a day", "cap_period": "in its period"}
    assert all(words[reason] in sentence for reason, sentence in NO_ROOM.items())
