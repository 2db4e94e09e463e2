"""The switch: what a rule asks for waits while charges are stopped there, what a person asks for does not."""

import pytest

from services.renewal.domain.admission import Admitted, Joined, Kept, Refusal
from services.renewal.domain.charge_stop import scope_of, stopping
from tests.unit.renewal.rules.given import TRIGGER, pull
from tests.unit.renewal.test_admission import ask, request


@pytest.mark.parametrize("scope", ["everywhere", "brand ola", "carrier cubacel"])
def test_a_rules_trigger_waits_and_says_for_what(scope: str) -> None:
    kept = pull(charges_stopped=[scope])
    assert kept == Kept(TRIGGER._replace(held_by=scope), "charges_stopped", f"Stopped: {scope}.")


@pytest.mark.parametrize("scopes", [[], None, ["brand other"], ["carrier other"], ["brand cubacel"]])
def test_a_stop_that_concerns_others_keeps_nothing(scopes: list[str] | None) -> None:
    assert isinstance(pull(charges_stopped=scopes), Admitted)


def test_what_a_person_asks_for_goes_on() -> None:
    assert isinstance(ask(charges_stopped=["everywhere", "brand ola"]), Admitted)


def test_a_repeat_joins_and_an_old_cycle_is_refused_though_charges_are_stopped() -> None:
    assert isinstance(pull(existing_hash=b"x", charges_stopped=["everywhere"]), Joined)
    assert isinstance(pull(TRIGGER._replace(cycle=2), charges_stopped=["everywhere"]), Refusal)


def test_a_taken_slot_is_what_a_trigger_waits_for_first() -> None:
    held = TRIGGER._replace(held_by="everywhere")
    assert pull(held, open_renewal_id=request().renewal_id, charges_stopped=["everywhere"]) == Kept(TRIGGER)


def test_the_widest_stop_is_named() -> None:
    assert stopping(["brand ola", "everywhere"], "ola", "cubacel") == "everywhere"
    assert stopping(["carrier cubacel", "brand ola"], "ola", "cubacel") == "brand ola"
    assert stopping(["brand ola"], None, None) is None
    assert [scope_of("everywhere"), scope_of("carrier", "x")] == ["everywhere", "carrier x"]
