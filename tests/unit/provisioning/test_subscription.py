"""When a subscription has changed, and what others are told of it."""

from dataclasses import replace

from services.provisioning.subscriptions.domain.subscription import (
    Subscription,
    changed,
    repeated,
    revised,
    used_by,
)
from shared.contracts.checks import eid_with_check, luhn_digit
from tests.unit.provisioning.given import NOW

ICCID = "899999000000000001" + luhn_digit("899999000000000001")
IMEI = "35000000000001" + luhn_digit("35000000000001")
OTHER_IMEI = "35000000000002" + luhn_digit("35000000000002")
HELD = Subscription(
    "sub-1", "ola", "cubacel", ICCID, eid_with_check("8" * 30), IMEI, "owner-1", "active", False, 7, 3
)


def test_the_same_again_is_the_very_same() -> None:
    assert revised(HELD, replace(HELD, top_ups=0, version=1, device_matches=True)) is HELD


def test_a_change_is_one_version_later_and_leaves_the_count_of_top_ups_alone() -> None:
    after = revised(HELD, replace(HELD, status="suspended", top_ups=0, version=1))
    assert (after.status, after.version, after.top_ups, after.device_matches) == ("suspended", 4, 7, False)


def test_a_newly_bound_device_matches() -> None:
    assert revised(HELD, replace(HELD, bound_imei=None)).device_matches


def test_usage_by_another_device_marks_the_subscription_and_is_one_version_later() -> None:
    fresh = replace(HELD, device_matches=True)
    assert used_by(fresh, OTHER_IMEI) == replace(
        fresh, device_matches=False, foreign_imei=OTHER_IMEI, version=fresh.version + 1
    )


def test_the_mark_of_another_device_stays_until_a_device_is_bound_anew() -> None:
    marked = used_by(HELD, OTHER_IMEI)
    suspended = revised(marked, replace(HELD, status="suspended"))
    assert (suspended.foreign_imei, suspended.device_matches) == (OTHER_IMEI, False)
    rebound = revised(marked, replace(HELD, bound_imei=OTHER_IMEI))
    assert (rebound.foreign_imei, rebound.device_matches) == (None, True)


def test_a_number_is_a_change_like_any_other() -> None:
    numbered = revised(HELD, replace(HELD, msisdn="+5350000001"))
    assert (numbered.msisdn, numbered.version) == ("+5350000001", 4)
    assert changed(numbered, NOW).msisdn == "+5350000001"
    assert used_by(numbered, IMEI).msisdn == "+5350000001"


def test_an_id_or_an_iccid_that_comes_again_names_the_earlier_place() -> None:
    other = replace(HELD, subscription_id="sub-2", iccid="1")
    wanted = [HELD, other, replace(HELD, iccid="2"), replace(other, subscription_id="sub-3")]
    assert repeated(wanted) == {2: 0, 3: 1}


def test_what_is_left_out_as_a_repeat_is_no_earlier_place_for_anybody() -> None:
    wanted = [HELD, replace(HELD, iccid="2"), replace(HELD, subscription_id="sub-2", iccid="2")]
    assert repeated(wanted) == {1: 0}


def test_others_are_told_the_whole_state() -> None:
    message = changed(HELD, NOW)
    assert (message.subscription_id, message.version, message.top_ups) == ("sub-1", 3, 7)
    assert (message.iccid, message.bound_imei, message.changed_at) == (ICCID, IMEI, NOW)
    assert (message.brand, message.carrier, message.eid) == ("ola", "cubacel", HELD.eid)
    assert (message.owner_id, message.status, message.device_matches) == ("owner-1", "active", False)
