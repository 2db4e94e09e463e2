"""The story itself: its people are valid, and there are enough of them for what is promised."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from deploy.local.demo.plans import CURRENCIES, DEVICES, PLANS
from deploy.local.demo.promises import BEGUN_BY_USAGE, COMPLETED, DECLINED
from deploy.local.demo.story import SCENES, Subscriber, Use, by_hand, cast, iccid, subscribers_of
from deploy.sandbox.behaviours import BEHAVIOURS, of_iccid, of_token
from shared.contracts.checks import eid_is_valid, luhn_is_valid
from shared.contracts.subscriptions import SubscriptionChanged

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def people() -> list[Subscriber]:
    return cast()


def test_there_are_at_least_200_subscribers(people: list[Subscriber]) -> None:
    assert len(people) >= 200


def test_enough_people_are_cast_for_every_promise(people: list[Subscriber]) -> None:
    ends = Counter(person.scene.end for person in people)
    begun_by_usage = sum(person.scene.asks == "rule" and person.scene.end != "none" for person in people)

    assert ends["completed"] >= COMPLETED
    assert ends["failed"] >= DECLINED
    assert ends["refunded"] >= 1
    assert begun_by_usage >= BEGUN_BY_USAGE


def test_every_number_that_must_be_unique_is(people: list[Subscriber]) -> None:
    for field in ("subscription_id", "owner_id", "iccid", "eid", "imei"):
        assert len({getattr(person, field) for person in people}) == len(people), field


def test_every_check_digit_is_right(people: list[Subscriber]) -> None:
    for person in people:
        assert luhn_is_valid(person.iccid)
        assert luhn_is_valid(person.imei)
        assert eid_is_valid(person.eid)


def test_every_subscriber_fits_the_contract(people: list[Subscriber]) -> None:
    for person in people:
        SubscriptionChanged(
            subscription_id=person.subscription_id,
            version=1,
            brand=person.brand,
            carrier="cubacel",
            iccid=person.iccid,
            eid=person.eid,
            bound_imei=person.imei,
            owner_id=person.owner_id,
            status="active",
            top_ups=0,
            changed_at=NOW,
        )


def test_every_device_is_one_of_the_listed_models(people: list[Subscriber]) -> None:
    listed = {tac for tac, _, _ in DEVICES}

    assert {person.imei[:8] for person in people} == listed


def test_every_plan_is_bought_in_every_currency(people: list[Subscriber]) -> None:
    bought = {(person.plan.offering_id, person.currency) for person in people}

    assert len(bought) == len(PLANS) * len(CURRENCIES)


@pytest.mark.parametrize("code", sorted({scene.iccid_code for scene in SCENES if scene.iccid_code}))
def test_the_sandbox_knows_the_behaviour_of_every_special_iccid(code: str) -> None:
    assert of_iccid(iccid(1, code))[0] is not BEHAVIOURS["ok"]


def test_the_sandbox_knows_every_card(people: list[Subscriber]) -> None:
    tokens = [method.token for person in people for method in person.methods if method.token is not None]

    assert tokens
    assert all(of_token(token) is not None for token in tokens)
    assert len(set(tokens)) == len(tokens)


def test_ordinary_iccids_behave(people: list[Subscriber]) -> None:
    ordinary = [person for person in people if not person.scene.iccid_code]

    assert all(of_iccid(person.iccid)[0] is BEHAVIOURS["ok"] for person in ordinary)


def test_whoever_waits_for_a_renewal_runs_out_of_data(people: list[Subscriber]) -> None:
    for person in people:
        if person.scene.asks == "rule":
            runs_out = person.used_bytes > person.left_bytes
            assert runs_out == (person.scene.end != "none")


def test_a_relative_pays_with_a_method_of_their_own(people: list[Subscriber]) -> None:
    relatives = [person for person in people if person.scene.another_payer]

    assert relatives
    for person in relatives:
        assert person.payer_id != person.owner_id
        assert {method.payer_id for method in person.methods} == {person.payer_id}


def test_a_wallet_that_holds_too_little_has_a_card_behind_it(people: list[Subscriber]) -> None:
    for person in people:
        first = person.methods[0]
        if first.token is None and first.deposit_minor < person.price_minor:
            assert len(person.methods) > 1


def test_beside_a_carriers_file_only_what_is_asked_by_hand_is_played() -> None:
    scenes = by_hand()

    assert {scene.end for scene in scenes} >= {"completed", "failed", "refunded"}
    assert all(scene.asks == "by hand" for scene in scenes)


def test_everyone_in_a_carriers_file_has_a_part_of_what_they_use() -> None:
    use = {iccid(900): Use(1000, None), iccid(901): Use(0, "490154203237518")}

    found = {person.iccid: person for person in subscribers_of(use, first=500)}

    heavy, idle = found[iccid(900)], found[iccid(901)]
    assert (heavy.granted_bytes, heavy.left_bytes, heavy.scene.asks) == (1000, 400, "rule")
    assert (idle.granted_bytes, idle.left_bytes) == (1, 1)
    assert idle.imei == "490154203237518"
    assert luhn_is_valid(heavy.imei)
    assert {person.subscription_id for person in found.values()} == {"sub-0500", "sub-0501"}
