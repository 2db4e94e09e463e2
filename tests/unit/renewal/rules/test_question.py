"""A price above the consent: what the payer is asked, and which answer lets the renewal go on, once."""

from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.admission import Admitted, Kept
from services.renewal.domain.asking import PAUSED, UNTIL
from services.renewal.rules.domain.decision import after_end, decision_of
from services.renewal.rules.domain.judgement import CYCLE_OVER
from services.renewal.rules.domain.mandate import BEFORE_MANDATES
from services.renewal.rules.domain.question import Question, is_answer, question_of
from services.renewal.rules.domain.rule import Pause
from tests.unit.renewal.rules.given import TRIGGER, mandate, pull, told
from tests.unit.renewal.story import T0

ASKED = Question("cuba-1gb", 1200, "USD")
WAITING = TRIGGER._replace(dunning_try=2, held_by=UNTIL, offering_id="cuba-1gb", asked=ASKED.text)


def known(cap_minor: int, consent_minor: int, **different: Any) -> Any:
    return told(cap_amount_minor=cap_minor, mandate=mandate(max_amount_minor=consent_minor), **different)


def test_a_question_is_kept_with_the_trigger_as_it_was_asked() -> None:
    assert question_of(WAITING) == ASKED
    assert question_of(TRIGGER) is None


@pytest.mark.parametrize(
    ("cap_minor", "consent_minor", "reason"),
    [
        (1200, 1199, "price_above_consent"),
        (1199, 1199, "price_above_consent"),
        (1199, 1200, "cap_charge"),
    ],
)
def test_while_less_than_the_price_is_agreed_to_nothing_is_begun(
    cap_minor: int, consent_minor: int, reason: str
) -> None:
    woken = WAITING._replace(not_before=T0 - timedelta(seconds=1))
    kept = pull(woken, known(cap_minor, consent_minor))
    assert isinstance(kept, Kept)
    assert (kept.reason, kept.trigger) == (reason, WAITING)
    decision = decision_of(woken, kept, T0)
    assert (decision.outcome, decision.reason, decision.next_try_at) == ("waiting", reason, None)
    for told_of in ("1200 USD", f"allows {consent_minor}", f"the rule {cap_minor}"):
        assert told_of in decision.detail
    assert ("Record a mandate" in decision.detail) == (consent_minor < 1200)
    assert ("Set the rule" in decision.detail) == (cap_minor < 1200)


def test_once_as_much_is_agreed_to_it_is_begun_afresh_as_a_try_of_its_own() -> None:
    answer = pull(WAITING, known(1300, 1200))
    assert isinstance(answer, Admitted)
    assert answer.renewal.renewal_id == WAITING.renewal_id != TRIGGER.renewal_id
    assert (answer.terms.max_amount_minor, answer.bound_by) == (1200, "consent")


def test_what_the_rule_buys_or_pays_in_by_now_was_not_asked_about() -> None:
    cheaper = told(offerings={"same": "cuba-500mb"}, cap_amount_minor=800)
    assert isinstance(pull(WAITING, cheaper), Admitted)
    in_euro = told(currency="EUR", mandate=mandate(currency="EUR"))
    assert isinstance(pull(WAITING, in_euro), Admitted)


def test_a_pause_holds_it_up_first_and_forgets_no_question() -> None:
    kept = pull(WAITING, known(800, 900, pause=Pause(T0, "ana", "Travelling.")))
    assert isinstance(kept, Kept)
    assert (kept.reason, kept.trigger) == ("rule_paused", WAITING._replace(held_by=PAUSED))


def test_no_answer_ends_with_the_cycle() -> None:
    assert pull(WAITING, known(800, 900), cycle=WAITING.cycle + 1) == CYCLE_OVER


@pytest.mark.parametrize(
    ("different", "answers"),
    [
        ({}, True),
        ({"max_amount_minor": 1199}, False),
        ({"payer_id": "bob"}, False),
        ({"currency": "EUR"}, False),
        ({"valid_until": T0}, False),
        ({"revoked_at": T0}, False),
    ],
)
def test_a_new_consent_answers_where_it_is_the_same_payers_and_high_enough(
    different: dict[str, Any], answers: bool
) -> None:
    given = mandate(**{"mandate_id": "m-2", "max_amount_minor": 1200} | different)
    assert is_answer(given, ASKED, mandate(text_version=BEFORE_MANDATES), T0) is answers
    assert not is_answer(given, ASKED, None, T0)


@pytest.mark.parametrize(
    ("bound_by", "words"),
    [
        ("consent", ("mandate m-1 allows 800", "Record a mandate for 1200 or more")),
        ("cap_charge", ("the rule allows per charge 800", "cap_amount_minor of 1200 or more")),
    ],
)
def test_the_decision_tells_the_price_the_limit_and_what_to_do(bound_by: str, words: tuple[str, ...]) -> None:
    answer = pull()
    assert isinstance(answer, Admitted)
    ended = answer.renewal._replace(state="failed", reason="price_changed", amount_minor=1200, closed_at=T0)
    begun = decision_of(TRIGGER, answer, T0)._replace(bound_by=bound_by)
    decision = after_end(begun, ended, T0)
    assert decision.outcome == "asked"
    for told_of in ("cuba-1gb costs 1200 USD", *words):
        assert told_of in decision.detail
    unpriced = after_end(begun, ended._replace(amount_minor=None), T0)
    assert (unpriced.outcome, "costs more" in unpriced.detail) == ("asked", True)
