"""What a rule asks for, how it reads in its short form, and the evidence of consent that it stands on."""

from datetime import timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from services.renewal.domain.asking import TriggerKind
from services.renewal.rules.domain.judgement import Told, Wish, wish_of
from services.renewal.rules.domain.mandate import BEFORE_MANDATES
from services.renewal.rules.domain.offering import OfferingTerms
from services.renewal.rules.domain.rule import (
    Instruction,
    Offerings,
    Pause,
    RenewalRule,
    TriggerWish,
    changed,
    short_form,
)
from shared.contracts.renewal_rules import RenewalRuleChanged
from tests.unit.renewal.rules.given import DETAILED, TRIGGER, mandate, says, told
from tests.unit.renewal.story import T0


def test_one_of_several_wishes_is_enough() -> None:
    either = says(triggers=(TriggerWish(kind="exhausted"), TriggerWish(kind="threshold", bytes=500)))
    assert either.wants(TRIGGER)
    assert either.wants(DETAILED._replace(kind="threshold", remaining_bytes=500))
    assert not either.wants(DETAILED._replace(kind="threshold", remaining_bytes=501))
    assert not either.wants(DETAILED._replace(kind="expiring"))


@pytest.mark.parametrize(
    ("limits", "trigger", "is_met"),
    [
        # What was granted is asked for a share only.
        ({"bytes": 500}, {"remaining_bytes": 501, "granted_bytes": None}, False),
        ({"percent": 10}, {"remaining_bytes": 501, "granted_bytes": None}, True),
        # A share of less than a byte is none, and of nothing granted nothing is a share.
        ({"percent": 1}, {"remaining_bytes": 1, "granted_bytes": 50}, False),
        ({"percent": 100}, {"remaining_bytes": 1, "granted_bytes": 0}, False),
    ],
)
def test_a_share_is_of_what_was_granted(
    limits: dict[str, Any], trigger: dict[str, Any], is_met: bool
) -> None:
    wish = TriggerWish(kind="threshold", **limits)
    assert wish.is_met_by(DETAILED._replace(kind="threshold", **trigger)) is is_met


def test_a_short_rule_is_on_or_off_as_it_was_said() -> None:
    for enabled in (True, False):
        rule = short_form(("exhausted",), "cuba-1gb", ("card-1",), 800, "USD", enabled=enabled)
        assert (rule.enabled, rule.is_short) == (enabled, True)


def test_a_rule_has_a_wish_for_every_kind_of_trigger_and_no_more() -> None:
    every = tuple(TriggerWish(kind=kind) for kind in get_args(TriggerKind))
    assert all(says(triggers=every).wants(TRIGGER._replace(kind=wish.kind)) for wish in every)
    for refused in ((), (*every, TriggerWish(kind="threshold", bytes=500))):
        with pytest.raises(ValidationError):
            says(triggers=refused)


def test_what_a_rule_leaves_out_is_as_the_page_says() -> None:
    """docs/rules.md: halves of validity and data, and neither a wait nor a switch that anybody has to set."""
    plain = says()
    assert (plain.offerings.up_within_percent, plain.offerings.down_unused_percent) == (50, 50)
    assert (plain.period_days, plain.cool_down_seconds, plain.notice_seconds) == (30, 0, 0)
    body = {name: getattr(plain, name) for name in Instruction.model_fields if name != "enabled"}
    assert Instruction(**body).enabled


def test_whoever_counts_is_told_when_to_tell_us() -> None:
    wishes = (
        TriggerWish(kind="threshold", percent=20, bytes=500),
        TriggerWish(kind="predicted", within_seconds=900),
        TriggerWish(kind="expiring", within_seconds=86_400),
    )
    for pause in (None, Pause(T0, "ana", "Travelling.")):
        assert changed(RenewalRule("sub-1", 7, says(triggers=wishes), "m-1", pause)) == RenewalRuleChanged(
            subscription_id="sub-1",
            version=7,
            enabled=True,
            paused=pause is not None,
            threshold_percent=20,
            threshold_bytes=500,
            predicted_seconds=900,
            expiring_seconds=86_400,
        )


def test_where_there_is_no_rule_nothing_is_wished_for() -> None:
    assert wish_of(Told(), TRIGGER) == Wish("", ())


def test_data_ran_out_early_by_the_time_for_which_the_same_offering_is_sold() -> None:
    tiers = Offerings(same="1gb", up="5gb", up_within_percent=50)
    half_a_day = DETAILED._replace(cycle_began_at=T0 - timedelta(hours=12))
    month, day = 30 * 86_400, 86_400
    for validity, bought in ((month, "5gb"), (day, "1gb")):
        other = day if validity == month else month
        sold = [OfferingTerms("5gb", other, "on_sale"), OfferingTerms("1gb", validity, "on_sale")]
        assert wish_of(told(offerings=tiers, sold=sold), half_a_day).offering_id == bought


# -- mandates -----------------------------------------------------------------------------------------


def test_the_same_evidence_again_is_the_same_mandate_whoever_records_it() -> None:
    again = mandate(recorded_by="crm", recorded_at=T0, revoked_at=T0, revoked_by="ana", revoked_why="No.")
    assert again.evidence == mandate().evidence


@pytest.mark.parametrize(
    "different",
    [
        {"payer_id": "eva"},
        {"text_version": "2026-02"},
        {"text_sha256": None},
        {"channel": "shop"},
        {"given_at": T0},
        {"language": "en"},
        {"max_amount_minor": 901},
        {"currency": "EUR"},
        {"valid_until": T0},
    ],
)
def test_other_contents_are_another_mandate(different: dict[str, Any]) -> None:
    assert mandate(**different).evidence != mandate().evidence


def test_consent_from_before_mandates_is_named_as_the_page_names_it() -> None:
    """docs/rules.md: evidence of its own, `text_version` `before-mandates`."""
    assert BEFORE_MANDATES == "before-mandates"
