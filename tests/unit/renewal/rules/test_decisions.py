"""What is kept of a trigger: what became of it, in words, and what an end of its renewal adds."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.renewal.domain.admission import Admitted, Joined, Kept, NotMeant, Refusal, Waits
from services.renewal.domain.asking import UNTIL
from services.renewal.domain.renewal import Renewal
from services.renewal.rules.domain.decision import (
    OUTCOMES,
    SENTENCES,
    Decision,
    after_end,
    decision_of,
    last_words,
    replaces,
    settled,
)
from tests.unit.renewal.rules.given import TRIGGER, pull, told
from tests.unit.renewal.story import T0

LATER = T0 + timedelta(hours=1)
PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text(encoding="utf-8")
BEGUN = decision_of(TRIGGER, pull(), T0)


def ended(reason: str | None, state: str = "failed") -> Renewal:
    admitted = pull()
    assert isinstance(admitted, Admitted)
    return admitted.renewal._replace(reason=reason, state=state, closed_at=LATER)  # type: ignore[arg-type] # states by their names


def test_what_was_begun_is_kept_with_its_consent_and_its_limit() -> None:
    begun = decision_of(TRIGGER, pull(), T0)
    assert (begun.outcome, begun.reason, begun.renewal_id) == ("renewed", None, TRIGGER.renewal_id)
    assert (begun.mandate_id, begun.bound_by) == ("m-1", "cap_charge")
    assert begun.detail == "A renewal was begun."


def test_what_was_announced_is_kept_with_its_consent() -> None:
    assert decision_of(TRIGGER, pull(known=told(notice_seconds=3600)), T0).mandate_id == "m-1"


def test_a_word_is_about_one_kind_of_trigger_of_one_try_in_one_cycle() -> None:
    second = TRIGGER._replace(cycle=4, kind="expiring", dunning_try=2)
    assert decision_of(second, NotMeant("rule_off"), T0).place == ("sub-1", 4, "expiring", 2)


def test_no_trigger_waits_for_a_slot_as_people_do() -> None:
    with pytest.raises(AssertionError):
        decision_of(TRIGGER, Waits(TRIGGER.renewal_id, "ana", 3), T0)


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (Joined(TRIGGER.renewal_id), "joined", None),
        (Refusal("device_changed", "Bind it anew."), "refused", "device_changed"),
        (NotMeant("rule_missing"), "not_meant", "rule_missing"),
        (Kept(TRIGGER), "waiting", "slot_taken"),
        (Kept(TRIGGER._replace(held_by=UNTIL, not_before=LATER), "quiet_hours"), "waiting", "quiet_hours"),
        (Kept(TRIGGER._replace(held_by=UNTIL, not_before=LATER), "announced"), "announced", "announced"),
        (pull(known=told(notice_seconds=3600)), "announced", "announced"),
    ],
)
def test_every_answer_is_kept_in_words_and_with_the_next_try(answer: Any, outcome: str, reason: str) -> None:
    decision = decision_of(TRIGGER, answer, T0)
    assert (decision.outcome, decision.reason) == (outcome, reason)
    assert decision.detail.endswith(".")
    kept = getattr(answer, "trigger", None)
    assert decision.next_try_at == (kept and kept.not_before)
    assert decision.renewal_id == (TRIGGER.renewal_id if outcome == "joined" else None)


def reasons_on_the_page(*outcomes: str) -> set[str]:
    """The reasons that docs/rules.md names beside these outcomes."""
    rows = (line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `"))
    named = [re.findall(r"`(\w+)`", row[2]) for row in rows if row[0].strip(" `") in outcomes]
    assert len(named) == len(outcomes)
    return {reason for reasons in named for reason in reasons} - {"next_try_at"}


def test_every_reason_that_comes_without_a_sentence_has_one_of_its_own() -> None:
    assert set(SENTENCES) == reasons_on_the_page("waiting", "announced", "not_meant")
    assert len(set(SENTENCES.values())) == len(SENTENCES)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


@pytest.mark.parametrize(
    ("ending", "bound_by", "outcome", "reason"),
    [
        ("price_changed", "consent", "asked", "price_above_consent"),
        ("price_changed", "cap_charge", "asked", "cap_charge"),
        ("price_changed", "cap_day", "refused", "cap_day"),
        ("price_changed", "cap_period", "refused", "cap_period"),
        ("price_changed", None, "refused", "price_above_consent"),
        ("declined_hard", "consent", "refused", "declined"),
        ("declined_soft", "cap_day", "refused", "declined"),
        ("deadline_passed", "consent", "refused", "deadline_passed"),
        (None, "consent", "refused", "failed"),
    ],
)
def test_a_renewal_that_ends_badly_gives_its_trigger_the_reason(
    ending: str | None, bound_by: str | None, outcome: str, reason: str
) -> None:
    decision = after_end(BEGUN._replace(bound_by=bound_by), ended(ending), LATER)
    assert (decision.outcome, decision.reason, decision.decided_at) == (outcome, reason, LATER)
    assert decision.renewal_id == TRIGGER.renewal_id
    assert decision.detail.endswith(".")


@pytest.mark.parametrize(
    ("state", "word"), [("cancelled", "called off"), ("refunded", "given back"), ("failed", "failed:")]
)
def test_how_it_ended_is_said(state: str, word: str) -> None:
    assert word in after_end(BEGUN, ended("customer_cancelled", state), LATER).detail


def test_a_declined_payment_is_said_to_be_one_and_of_which_kind() -> None:
    told_then = after_end(BEGUN, ended("declined_hard"), LATER).detail
    assert "The payment was declined (declined_hard)" in told_then


def test_what_costs_more_than_the_caps_have_left_is_said_to_have_charged_nothing() -> None:
    dear = after_end(BEGUN._replace(bound_by="cap_day"), ended("price_changed"), LATER)
    assert "caps have left: nothing was charged." in dear.detail


def test_a_trigger_that_is_read_twice_does_not_hide_what_became_of_the_first() -> None:
    joined = decision_of(TRIGGER, Joined(TRIGGER.renewal_id), LATER)
    over = decision_of(TRIGGER, Refusal("cycle_over", "Nothing to do."), LATER)
    off = decision_of(TRIGGER, NotMeant("rule_off"), LATER)
    for again in (joined, over, off):
        assert not replaces(BEGUN, again)
    waiting = decision_of(TRIGGER, Kept(TRIGGER), T0)
    told_of = decision_of(TRIGGER, pull(known=told(notice_seconds=3600)), T0)
    for further in (BEGUN, joined, over, off):
        assert replaces(waiting, further)
        assert replaces(told_of, further)
    assert waiting.waits
    assert told_of.waits
    refused = decision_of(TRIGGER, Refusal("consent_missing", "Record one."), T0)
    assert not replaces(refused, over)
    assert replaces(refused, BEGUN)
    assert replaces(BEGUN, after_end(BEGUN, ended("price_changed"), LATER))


@given(
    st.lists(
        st.builds(
            Decision,
            st.just("sub-1"),
            st.integers(1, 2),
            st.sampled_from(["exhausted", "threshold"]),
            st.just(1),
            st.just(T0),
            st.sampled_from(OUTCOMES),
            st.sampled_from([None, "cycle_over", "slot_taken"]),
            st.just("."),
            st.none() | st.just(TRIGGER.renewal_id),
        )
    )
)
def test_of_several_in_a_batch_the_last_word_is_what_row_by_row_would_have_left(
    told_of: list[Decision],
) -> None:
    rows: dict[Any, Decision] = {}
    for decision in told_of:
        if decision.place not in rows or replaces(rows[decision.place], decision):
            rows[decision.place] = decision
    newest = max((decision.cycle for decision in rows.values()), default=0)
    left = [rows[place] for place in sorted(rows)]
    assert last_words(told_of) == [over(row) if row.waits and row.cycle < newest else row for row in left], (
        "of several cycles the newest alone waits"
    )


# -- what settles an earlier word -----------------------------------------------------------------------

WAITS = decision_of(TRIGGER, Kept(TRIGGER._replace(held_by=UNTIL, not_before=LATER), "quiet_hours"), T0)


def over(row: Decision, at: datetime = T0) -> Decision:
    detail = "The data was topped up meanwhile: there is nothing to do."
    return row._replace(
        decided_at=at, outcome="refused", reason="cycle_over", detail=detail, next_try_at=None
    )


def said(answer: Any, **different: Any) -> Decision:
    """A word about another trigger, an hour later."""
    return decision_of(TRIGGER._replace(kind="threshold", **different), answer, LATER)


def test_what_waits_in_a_cycle_is_over_once_anything_is_said_of_a_later_one() -> None:
    for answer in (pull(), Kept(TRIGGER), NotMeant("rule_off"), Refusal("consent_missing", "None.")):
        new = said(answer, cycle=TRIGGER.cycle + 1)
        assert settled(WAITS, new, is_kept=False) == over(WAITS, LATER)
        assert settled(BEGUN, new, is_kept=False) == BEGUN, "its own renewal tells its end"


def test_what_waits_beside_the_kept_trigger_shares_what_that_leads_to() -> None:
    begun = settled(WAITS, said(pull()), is_kept=False)
    assert (begun.kind, begun.outcome, begun.renewal_id) == ("exhausted", "joined", TRIGGER.renewal_id)
    assert (begun.next_try_at, begun.decided_at) == (None, LATER)
    assert begun.detail == "Its cycle's renewal had been begun already."
    refused = settled(WAITS, said(Refusal("consent_missing", "None.")), is_kept=False)
    assert (refused.kind, refused.outcome, refused.reason) == ("exhausted", "refused", "consent_missing")
    again = settled(WAITS, said(Kept(TRIGGER._replace(not_before=LATER), "cool_down")), is_kept=True)
    assert (again.outcome, again.reason, again.next_try_at) == ("waiting", "cool_down", LATER)
    by_second = settled(WAITS, said(Refusal("consent_missing", "None."), dunning_try=2), is_kept=False)
    assert (by_second.outcome, by_second.place) == ("refused", WAITS.place)


def test_that_another_kind_is_not_meant_settles_nothing_while_one_is_kept() -> None:
    new = said(NotMeant("trigger_not_wanted"))
    assert settled(WAITS, new, is_kept=True) == WAITS
    assert settled(WAITS, new, is_kept=False).outcome == "not_meant"


def test_a_later_try_is_not_settled_by_what_is_said_of_an_earlier_one() -> None:
    second = WAITS._replace(dunning_try=2)
    assert settled(second, said(Joined(TRIGGER.renewal_id)), is_kept=True) == second


@pytest.mark.parametrize(
    ("answer", "is_over"), [(Refusal("cycle_over", "Over."), True), (pull(), True), (Kept(TRIGGER), False)]
)
def test_a_next_try_is_not_announced_any_more_once_it_has_been(answer: Any, is_over: bool) -> None:
    failed = WAITS._replace(outcome="refused", reason="declined", next_try_at=LATER + timedelta(days=1))
    told_then = settled(failed, said(answer, dunning_try=2), is_kept=False)
    assert told_then == failed._replace(next_try_at=None if is_over else failed.next_try_at)
    for past in (failed._replace(next_try_at=T0), failed._replace(next_try_at=LATER)):
        assert settled(past, said(answer, dunning_try=2), is_kept=False) == past, "it was then"
    assert settled(failed, said(answer), is_kept=False) == failed, (
        "another kind of the same try ends no other"
    )
