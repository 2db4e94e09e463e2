"""What a trigger leads to, given its rule, the mandate behind it and what was charged before."""

from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.admission import Admitted, Announced, Joined, Kept, NotMeant, Refusal
from services.renewal.domain.asking import PAUSED, UNTIL
from services.renewal.domain.policy import POLICY
from services.renewal.rules.domain.judgement import Told, wish_of
from services.renewal.rules.domain.offering import OfferingTerms
from services.renewal.rules.domain.rule import Offerings, Pause, QuietHours, TriggerWish, changed
from services.renewal.rules.domain.spending import Charge
from tests.unit.renewal.rules.given import DETAILED, GIGABYTE, TRIGGER, mandate, pull, told
from tests.unit.renewal.story import T0
from tests.unit.renewal.test_admission import request

HOUR = timedelta(hours=1)
MINE, OTHERS = "490154203237518", "356938035643809"


def reason_of(answer: object) -> str:
    assert isinstance(answer, Refusal | NotMeant | Kept)
    return answer.reason


# -- as ever --------------------------------------------------------------------------------------------


def test_a_trigger_asks_for_what_its_rule_says_up_to_the_cap() -> None:
    admitted = pull()
    assert isinstance(admitted, Admitted)
    assert (admitted.terms.origin, admitted.terms.max_amount_minor) == ("rule", 800)
    assert (admitted.mandate_id, admitted.bound_by, admitted.request.dunning_try) == ("m-1", "cap_charge", 1)
    assert admitted.renewal.deadline_at == T0 + timedelta(seconds=POLICY.deadline_seconds["rule"])


@pytest.mark.parametrize("status", ["expired", "removed"])
def test_a_card_that_is_not_active_any_more_is_passed_over_as_long_as_another_is(status: str) -> None:
    known = told(payment_method_ids=("card-1", "card-2"))
    admitted = pull(known=known, methods=[f"card-1 ana {status}", "card-2 ana active"])
    assert isinstance(admitted, Admitted)
    assert admitted.terms.payment_method_ids == ("card-2",)
    none = pull(known=known, methods=[f"card-1 ana {status}", f"card-2 ana {status}"])
    assert reason_of(none) == "payment_method_inactive"


@pytest.mark.parametrize(
    ("reason", "known"),
    [
        ("rule_missing", Told()),
        ("rule_off", told(enabled=False)),
        ("trigger_not_wanted", told(triggers=(TriggerWish(kind="threshold"),))),
    ],
)
def test_a_trigger_nobody_asked_for_is_not_answered(reason: str, known: Told) -> None:
    assert pull(known=known) == NotMeant(reason)


def test_a_trigger_joins_its_cycles_renewal_before_anything_else_is_asked() -> None:
    known = told(Pause(T0, "ana", "Travelling."))
    assert isinstance(pull(known=known, existing_hash=b"x", open_renewal_id=request().renewal_id), Joined)


def test_a_trigger_of_an_old_cycle_is_refused_and_one_ahead_of_the_projection_is_not() -> None:
    assert reason_of(pull(TRIGGER._replace(cycle=2))) == "cycle_over"
    assert isinstance(pull(TRIGGER._replace(cycle=4)), Admitted)


def test_what_we_completed_counts_before_the_projection_hears_of_it() -> None:
    assert reason_of(pull(known=told(applied_cycle=4))) == "cycle_over"
    assert isinstance(pull(known=told(applied_cycle=2), cycle=None), Admitted)


def test_a_trigger_that_finds_the_slot_taken_is_kept() -> None:
    held = TRIGGER._replace(held_by=UNTIL, not_before=T0)
    assert pull(held, open_renewal_id=request().renewal_id) == Kept(TRIGGER)


def test_every_cycle_and_every_try_has_a_renewal_of_its_own() -> None:
    ids = {
        TRIGGER._replace(cycle=cycle, dunning_try=time).renewal_id for cycle in range(5) for time in (1, 2)
    }
    assert len(ids) == 10
    assert TRIGGER._replace(kind="threshold").renewal_id == TRIGGER.renewal_id


# -- which triggers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "trigger", "is_met"),
    [
        (
            {"kind": "threshold", "percent": 10},
            {"kind": "threshold", "remaining_bytes": GIGABYTE // 10},
            True,
        ),
        (
            {"kind": "threshold", "percent": 10},
            {"kind": "threshold", "remaining_bytes": GIGABYTE // 10 + 1},
            False,
        ),
        ({"kind": "threshold", "bytes": 500}, {"kind": "threshold", "remaining_bytes": 500}, True),
        ({"kind": "threshold", "bytes": 500}, {"kind": "threshold", "remaining_bytes": 501}, False),
        (
            {"kind": "threshold", "percent": 10, "bytes": 500},
            {"kind": "threshold", "remaining_bytes": 501},
            True,
        ),
        ({"kind": "threshold"}, {"kind": "threshold", "remaining_bytes": GIGABYTE}, True),
        ({"kind": "threshold", "percent": 10}, {"kind": "threshold", "remaining_bytes": None}, True),
        ({"kind": "threshold", "percent": 10}, {"kind": "threshold", "granted_bytes": None}, True),
        ({"kind": "expiring", "within_seconds": 3600}, {"kind": "expiring", "ends_at": T0 + HOUR}, True),
        ({"kind": "expiring", "within_seconds": 3599}, {"kind": "expiring", "ends_at": T0 + HOUR}, False),
        ({"kind": "predicted", "within_seconds": 3599}, {"kind": "predicted", "ends_at": None}, True),
        ({"kind": "predicted"}, {"kind": "predicted", "ends_at": T0 + 99 * HOUR}, True),
        ({"kind": "predicted"}, {"kind": "expiring", "ends_at": T0}, False),
    ],
)
def test_a_trigger_is_wanted_where_the_data_is_as_near_its_end_as_the_rule_says(
    wish: dict[str, Any], trigger: dict[str, Any], is_met: bool
) -> None:
    assert TriggerWish(**wish).is_met_by(DETAILED._replace(**trigger)) is is_met


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "exhausted", "percent": 1},
        {"kind": "threshold", "within_seconds": 1},
        {"kind": "expiring", "bytes": 1},
    ],
)
def test_a_limit_goes_with_its_kind_of_trigger(wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="with the kind"):
        TriggerWish(**wish)


# -- which offering -------------------------------------------------------------------------------------

TIERS = Offerings(same="1gb", up="5gb", down="half", up_within_percent=50, down_unused_percent=60)
KNOWN = [OfferingTerms(name, 20 * 86_400, "on_sale") for name in ("1gb", "5gb", "half")]


@pytest.mark.parametrize(
    ("offering", "trigger", "known"),
    [
        ("5gb", {"cycle_began_at": T0 - timedelta(days=10) + timedelta(seconds=1)}, KNOWN),
        ("1gb", {}, KNOWN),
        ("1gb", {"cycle_began_at": None}, KNOWN),
        ("1gb", {"cycle_began_at": T0}, []),
        ("1gb", {"cycle_began_at": T0}, [KNOWN[0], KNOWN[1]._replace(status="withdrawn")]),
        ("1gb", {"cycle_began_at": T0, "kind": "expiring"}, KNOWN),
        ("half", {"kind": "expiring", "remaining_bytes": GIGABYTE * 6 // 10}, KNOWN),
        ("1gb", {"kind": "expiring", "remaining_bytes": GIGABYTE * 6 // 10 - 1}, KNOWN),
        ("1gb", {"kind": "expiring", "remaining_bytes": GIGABYTE, "granted_bytes": None}, KNOWN),
        ("half", {"lapsed_bytes": GIGABYTE * 6 // 10}, KNOWN),
        ("1gb", {"lapsed_bytes": GIGABYTE * 6 // 10 - 1}, KNOWN),
        ("half", {"lapsed_bytes": GIGABYTE * 6 // 10 - 1, "remaining_bytes": 1}, KNOWN),
        ("1gb", {"lapsed_bytes": GIGABYTE, "granted_bytes": None}, KNOWN),
        # The carrier let it lapse early: it did not run out.
        ("1gb", {"cycle_began_at": T0 - timedelta(days=5), "lapsed_bytes": 1}, KNOWN),
    ],
)
def test_data_that_ran_out_early_is_followed_by_more_and_unused_data_by_less(
    offering: str, trigger: dict[str, Any], known: list[OfferingTerms]
) -> None:
    wish = wish_of(told(offerings=TIERS, sold=known), DETAILED._replace(**trigger))
    assert wish.offering_id == offering


# -- consent --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "different"),
    [
        ("consent_missing", {"payer_id": "eva"}),
        ("consent_missing", {"currency": "EUR"}),
        ("consent_revoked", {"revoked_at": T0}),
        ("consent_expired", {"valid_until": T0}),
    ],
)
def test_nothing_is_charged_without_a_live_mandate_of_the_payer(
    reason: str, different: dict[str, Any]
) -> None:
    answer = pull(known=told(mandate=mandate(**different)))
    assert reason_of(answer) == reason
    assert isinstance(pull(known=told(mandate=mandate(valid_until=T0 + HOUR))), Admitted)


def test_without_any_mandate_nothing_is_charged() -> None:
    assert reason_of(pull(known=told(mandate=None))) == "consent_missing"


def test_somebody_else_pays_on_a_mandate_of_theirs() -> None:
    known = told(mandate=mandate(payer_id="eva"), payer_id="eva")
    admitted = pull(known=known, methods=["card-1 eva active"])
    assert isinstance(admitted, Admitted)
    assert admitted.terms.payer_id == "eva"
    assert reason_of(pull(known=told(payer_id="eva"), methods=["card-1 eva active"])) == "consent_missing"


def test_the_lower_of_mandate_and_cap_is_the_most_that_is_taken() -> None:
    admitted = pull(known=told(mandate=mandate(max_amount_minor=700)))
    assert isinstance(admitted, Admitted)
    assert (admitted.terms.max_amount_minor, admitted.bound_by) == (700, "consent")


# -- caps and pace --------------------------------------------------------------------------------------

CHARGE = Charge(T0 - 2 * HOUR, 600, "USD")


def test_what_was_charged_is_taken_from_the_day_and_what_is_left_is_the_most() -> None:
    admitted = pull(known=told(charges=[CHARGE], cap_day_minor=1000))
    assert isinstance(admitted, Admitted)
    assert (admitted.terms.max_amount_minor, admitted.bound_by) == (400, "cap_day")


@pytest.mark.parametrize(
    ("reason", "until", "different"),
    [
        ("cap_day", T0 + 22 * HOUR, {"cap_day_minor": 600}),
        ("cap_period", T0 + timedelta(days=7) - 2 * HOUR, {"cap_period_minor": 600, "period_days": 7}),
        ("cool_down", T0 + HOUR, {"cool_down_seconds": 3 * 3600}),
    ],
)
def test_what_there_is_no_room_for_waits_until_there_is(reason: str, until: Any, different: Any) -> None:
    kept = pull(known=told(charges=[CHARGE], **different))
    assert kept == Kept(TRIGGER._replace(held_by=UNTIL, not_before=until), reason)


def test_a_rule_renews_as_often_as_it_may_on_one_mandate() -> None:
    used = told(charges=[CHARGE, CHARGE], max_renewals=2)
    assert reason_of(pull(known=used)) == "max_number"
    anew = used._replace(mandate=mandate(given_at=T0 - HOUR))
    assert isinstance(pull(known=anew), Admitted)


def test_a_rule_ends_with_its_time() -> None:
    assert reason_of(pull(known=told(valid_until=T0))) == "valid_until"
    assert isinstance(pull(known=told(valid_until=T0 + HOUR)), Admitted)


@pytest.mark.parametrize("bound", [MINE, None])
def test_nothing_is_charged_where_usage_has_seen_another_device_than_the_bound_one(bound: str | None) -> None:
    # Whether it matches is heard of later; None: an older version did not keep which one is bound.
    offended = TRIGGER._replace(offended_imei=MINE)
    assert reason_of(pull(offended, bound_imei=bound)) == "device_changed"
    assert isinstance(pull(bound_imei=bound), Admitted)


def test_a_device_bound_since_usage_looked_is_not_held_against_anybody() -> None:
    offended = TRIGGER._replace(offended_imei=MINE)
    assert isinstance(pull(offended, bound_imei=OTHERS), Admitted)
    assert reason_of(pull(offended, bound_imei=OTHERS, device_matches=False)) == "device_changed"


# -- waiting --------------------------------------------------------------------------------------------


def test_a_paused_rules_trigger_waits_for_the_rule_and_loses_its_announcement() -> None:
    announced = TRIGGER._replace(held_by=UNTIL, not_before=T0, announced="cuba-1gb 800 USD")
    kept = pull(announced, told(Pause(T0, "ana", "Travelling.")))
    assert kept == Kept(TRIGGER._replace(held_by=PAUSED), "rule_paused", "By ana: Travelling.")


def test_what_the_subscriber_has_stopped_waits_whoever_else_has_paused_it() -> None:
    word = Pause(T0, "text-messages:sms-a", "Stopped.")
    kept = pull(known=told(opt_out=word))
    assert kept == Kept(TRIGGER._replace(held_by=PAUSED), "rule_paused", "By text-messages:sms-a: Stopped.")
    both = pull(known=told(Pause(T0, "ana", "Travelling."), opt_out=word))
    assert isinstance(both, Kept)
    assert both.detail == "By ana: Travelling. By text-messages:sms-a: Stopped."


def night() -> QuietHours:
    """An hour of UTC around now."""
    return QuietHours(from_hour=T0.hour, to_hour=(T0.hour + 1) % 24, zone="UTC")


def test_in_quiet_hours_nothing_is_charged_and_what_can_never_be_is_said_at_once() -> None:
    end = T0.replace(minute=0, second=0, microsecond=0) + HOUR
    assert pull(known=told(quiet_hours=night())) == Kept(
        TRIGGER._replace(held_by=UNTIL, not_before=end), "quiet_hours"
    )
    assert reason_of(pull(known=told(quiet_hours=night()), device_matches=False)) == "device_changed"


NOTICED = told(notice_seconds=7200)


def test_a_charge_is_announced_before_it_is_made() -> None:
    announced = pull(known=NOTICED)
    text = "cuba-1gb 800 USD"
    kept = TRIGGER._replace(held_by=UNTIL, not_before=T0 + 2 * HOUR, announced=text)
    assert announced == Announced(kept, "m-1", "cuba-1gb", 800, "USD")
    assert isinstance(pull(kept._replace(not_before=T0), NOTICED), Admitted)


def test_what_was_announced_waits_though_it_is_looked_at_earlier() -> None:
    kept = TRIGGER._replace(held_by=None, not_before=T0 + HOUR, announced="cuba-1gb 800 USD")
    assert pull(kept, NOTICED) == Kept(kept._replace(held_by=UNTIL), "announced")


def test_another_trigger_of_the_cycle_is_not_announced_twice() -> None:
    waiting = TRIGGER._replace(kind="threshold", not_before=T0 + HOUR, announced="cuba-1gb 800 USD")
    answer = pull(known=NOTICED._replace(waiting=waiting))
    assert isinstance(answer, Kept)
    assert (answer.reason, answer.trigger.not_before) == ("announced", T0 + HOUR)
    other = NOTICED._replace(waiting=waiting._replace(cycle=2))
    assert isinstance(pull(known=other), Announced)


def test_more_than_was_announced_is_not_taken_and_another_offering_is_announced_anew() -> None:
    kept = TRIGGER._replace(not_before=T0, announced="cuba-1gb 500 USD")
    admitted = pull(kept, NOTICED)
    assert isinstance(admitted, Admitted)
    assert admitted.terms.max_amount_minor == 500
    assert isinstance(pull(kept._replace(announced="cuba-5gb 500 USD"), NOTICED), Announced)


def test_a_charge_is_not_announced_for_the_night() -> None:
    known = told(notice_seconds=60, quiet_hours=night())
    end = T0.replace(minute=0, second=0, microsecond=0) + HOUR
    announced = pull(known=known)
    assert isinstance(announced, Announced)
    assert announced.trigger.not_before == end


NIGHT = QuietHours(from_hour=22, to_hour=7, zone="America/Havana")


@pytest.mark.parametrize(
    ("different", "lead_seconds"),
    [
        ({}, None),
        ({"notice_seconds": 7200}, 7200),
        ({"quiet_hours": NIGHT}, 9 * 3600),
        ({"quiet_hours": NIGHT, "notice_seconds": 60}, 9 * 3600 + 60),
        ({"quiet_hours": NIGHT, "notice_seconds": 31 * 86_400}, 31 * 86_400),
    ],
)
def test_whoever_counts_is_told_how_long_a_charge_may_have_to_wait(
    different: dict[str, Any], lead_seconds: int | None
) -> None:
    rule = told(**different).rule
    assert rule is not None
    assert changed(rule).lead_seconds == lead_seconds
