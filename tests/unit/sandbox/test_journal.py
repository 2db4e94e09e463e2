"""The journal on disk, and the memory that comes back from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.carrier import carrier_gateway
from deploy.sandbox.gateway import Gateway
from deploy.sandbox.journal import INDEX_STEP, Journal, JournalUnusable
from deploy.sandbox.psp import psp_gateway
from deploy.sandbox.restore import restore

from .conftest import START, CarrierDriver, PspDriver


def opened(path: Path, kind: type[Any], making: Callable[[str], Gateway], now: int = START) -> Any:
    """A driver as a new process would find the journal, keeping it up."""
    journal = Journal(path, path.stem, "5a17")
    gateway = making(journal.salt)
    restore(gateway, journal)
    driver = kind(gateway, journal)
    driver.now = now
    return driver


def reopened(driver: Any, making: Callable[[str], Gateway]) -> Any:
    driver.journal.close()
    return opened(driver.journal.path, type(driver), making, driver.now)


@pytest.fixture
def kept_psp(tmp_path: Path) -> Any:
    return opened(tmp_path / "psp.journal", PspDriver, psp_gateway)


@pytest.fixture
def kept_carrier(tmp_path: Path) -> Any:
    return opened(tmp_path / "carrier.journal", CarrierDriver, carrier_gateway)


def test_after_a_restart_the_psp_remembers_everything(kept_psp: Any) -> None:
    intent_id = kept_psp.intent("tok_decline_lost_card_once", key="k-0")
    declined = kept_psp.confirm(intent_id, key="k-1")
    kept_psp.confirm(intent_id, "tok_refund_pending", key="k-2")
    kept_psp.refund(intent_id, 200, key="k-3")
    late = kept_psp.intent("tok_processing", "r-2")
    kept_psp.confirm(late, key="k-4")
    kept_psp.call("POST", "/v1/payment_intents", {"amount_minor": -1})
    kept_psp.fault("confirm_intent", "rate_limited", every_nth=2)

    psp = reopened(kept_psp, psp_gateway)
    again = psp.confirm(intent_id, key="k-1")
    assert (again.body, again.replayed) == (declined.body, True)
    assert psp.status(intent_id) == "succeeded"
    assert (psp.status(late), len(psp.get("/faults")["faults"])) == ("processing", 1)
    psp.wait(2)
    assert psp.effect_names() == ["refunded", "captured"]
    assert psp.intent() not in (intent_id, late)


def test_after_a_restart_the_carrier_remembers_everything(kept_carrier: Any) -> None:
    first = kept_carrier.topup(key="k-1")
    kept_carrier.cancel("r-2")
    kept_carrier.topup("8999990700000000017", "r-3")
    kept_carrier.wait(5)
    kept_carrier.call("PUT", "/capabilities", {"can_cancel": False})
    kept_carrier.cancel("r-4")

    carrier = reopened(kept_carrier, carrier_gateway)
    again = carrier.topup(key="k-1")
    assert (again.body, again.replayed) == (first.body, True)
    assert carrier.topup(reference="r-2").status == 409
    assert carrier.found("r-3")[0]["status"] == "completed"
    assert carrier.cancel("r-5").status == 501


def test_a_torn_last_line_is_dropped(kept_carrier: Any) -> None:
    kept_carrier.topup(reference="r-1")
    kept_carrier.topup(reference="r-2")
    kept_carrier.journal.close()
    path = kept_carrier.journal.path
    path.write_bytes(path.read_bytes()[:-5])  # the effect of the second top-up is torn
    carrier = opened(path, CarrierDriver, carrier_gateway)
    # Its request was written, so it happened: the effect is written anew.
    assert [row["effect"] for row in carrier.journal.page(0, 10, "effect").rows] == ["applied", "applied"]
    assert len(carrier.found("r-2")) == 1


def test_any_cut_of_the_file_is_a_state_that_once_was(kept_carrier: Any) -> None:
    for number in range(3):
        kept_carrier.topup(reference=f"r-{number}", key=f"k-{number}")
    kept_carrier.journal.close()
    path = kept_carrier.journal.path
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        carrier = opened(path, CarrierDriver, carrier_gateway)
        applied = carrier.journal.page(0, 10, "effect").rows
        assert [row["reference"] for row in applied] == [f"r-{n}" for n in range(len(applied))]
        assert len(carrier.gateway.state.topups) == len(applied)
        carrier.journal.close()


def test_a_file_damaged_in_its_middle_is_refused(kept_carrier: Any) -> None:
    for number in range(3):
        kept_carrier.topup(reference=f"r-{number}")
    kept_carrier.journal.close()
    lines = kept_carrier.journal.path.read_bytes().splitlines(keepends=True)
    lines[2] = b"garbage\n"
    kept_carrier.journal.path.write_bytes(b"".join(lines))
    with pytest.raises(JournalUnusable, match="damaged after row 1"):
        opened(kept_carrier.journal.path, CarrierDriver, carrier_gateway)


def test_a_file_that_was_edited_is_refused(kept_carrier: Any) -> None:
    kept_carrier.topup()
    kept_carrier.topup(reference="r-2")
    kept_carrier.journal.close()
    path = kept_carrier.journal.path
    path.write_bytes(path.read_bytes().replace(b'"completed","applied"', b'"completed","stolen"', 1))
    with pytest.raises(JournalUnusable, match="at row 2"):
        opened(path, CarrierDriver, carrier_gateway)


def test_a_journal_of_the_other_server_is_refused(kept_carrier: Any) -> None:
    kept_carrier.journal.close()
    with pytest.raises(JournalUnusable, match="not a journal of this psp"):
        Journal(kept_carrier.journal.path, "psp", "5a17")


def test_a_journal_in_use_is_refused(kept_carrier: Any) -> None:
    with pytest.raises(JournalUnusable, match="in use"):
        Journal(kept_carrier.journal.path, "carrier", "5a17")


def test_pages_follow_one_another_without_gap_or_overlap(kept_carrier: Any) -> None:
    calls = INDEX_STEP + 50
    for number in range(calls):
        kept_carrier.topup(reference=f"r-{number}")
    rows: list[Any] = []
    after, more = 0, True
    while more:
        page = kept_carrier.journal.page(after, 77, None)
        rows += page.rows
        after, more = page.next_after, page.more
    assert [row["sequence"] for row in rows] == list(range(1, 2 * calls + 1))
    assert [row["kind"] for row in rows] == ["request", "effect"] * calls
    assert kept_carrier.journal.page(after, 10, None) == ([], after, False)


def test_effects_can_be_read_alone(kept_psp: Any) -> None:
    kept_psp.confirm(kept_psp.intent(renewal_id=',"effect",'), key="k-1")
    (row,) = kept_psp.journal.page(0, 10, "effect").rows
    assert (row["effect"], row["amount_minor"], row["currency"], row["token"]) == (
        "captured",
        500,
        "EUR",
        "tok_ok",
    )
    assert row["renewal_id"] == ',"effect",'
    assert row["at"] == "2026-11-23T00:00:00.000000Z"


def test_a_refused_body_is_not_kept(kept_psp: Any) -> None:
    document = {"amount_minor": 1, "currency": "EUR", "payment_method": "4242424242424242"}
    assert kept_psp.call("POST", "/v1/payment_intents", document).status == 400
    kept_psp.journal.close()
    assert b"4242" not in kept_psp.journal.path.read_bytes()


def test_unknown_fields_are_not_kept(kept_psp: Any) -> None:
    document = {"amount_minor": 1, "currency": "EUR", "card_number": "4242424242424242"}
    assert kept_psp.call("POST", "/v1/payment_intents", document).status == 200
    kept_psp.journal.close()
    assert b"4242" not in kept_psp.journal.path.read_bytes()
