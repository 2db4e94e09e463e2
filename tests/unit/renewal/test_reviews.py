"""What the policy leaves to a person: when one is asked, what a decision is good for, how long it waits."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.renewal.domain.acceptance import ANY, Acceptance, Entry, Reviewed, ReviewState, Verdict
from services.renewal.domain.admission import (
    REVIEW_EXPIRED,
    SLOT_TAKEN,
    Admitted,
    Announced,
    InReview,
    Joined,
    Kept,
    Refusal,
    Shadowed,
    Waits,
    acceptance_refusal,
)
from services.renewal.domain.asking import UNTIL
from services.renewal.domain.policy import POLICY
from services.renewal.domain.review import REVIEW_OPEN, WITHDRAWN, Review, review_of
from services.renewal.rules.domain.decision import SENTENCES, decision_of
from tests.unit.renewal.rules.given import TRIGGER, pull, told
from tests.unit.renewal.story import T0
from tests.unit.renewal.test_admission import ask, request

KINDS = {"card-1": "card", "card-2": "card", "wallet-1": "wallet", "paypal-1": "paypal"}
DAY = timedelta(days=1)
METHODS = ("card-1", "wallet-1", "paypal-1")
KNOWN = [f"{method} ana active" for method in KINDS]


def policy(reviewed: Reviewed | None = None, **verdicts: Verdict) -> Acceptance:
    """What the table says of CU from US, by kind of method."""
    entries = [Entry("CU", "US", kind, verdict) for kind, verdict in verdicts.items()]
    return Acceptance("CU", "US", KINDS, entries, reviewed)


def reviewed(state: ReviewState, *methods: str, **different: Any) -> Reviewed:
    return Reviewed(state, frozenset(methods or ("card-1",)), T0 + DAY)._replace(**different)


def asked_of(acceptance: Acceptance, *methods: str, **standing: Any) -> object:
    wanted = request(payment_method_ids=methods or ("card-1",))
    return ask(wanted, methods=KNOWN, acceptance=acceptance, **standing)


def test_a_more_specific_entry_may_leave_to_a_person_what_a_wider_one_decides() -> None:
    for wide in ("allow", "refuse"):
        entries = [Entry(ANY, ANY, ANY, wide), Entry("CU", ANY, "card", "review")]
        table = Acceptance("CU", "US", KINDS, entries)
        assert (table.verdict("card-1"), table.verdict("wallet-1")) == ("review", wide)


def test_where_some_methods_are_allowed_those_alone_are_used() -> None:
    admitted = asked_of(policy(card="review", paypal="refuse"), *METHODS)
    assert isinstance(admitted, Admitted)
    assert admitted.terms.payment_method_ids == ("wallet-1",)


def test_where_none_is_allowed_and_one_is_to_be_reviewed_it_waits_for_a_person() -> None:
    table = policy(card="review", paypal="refuse", wallet="refuse")
    answer = asked_of(table, *METHODS)
    assert isinstance(answer, InReview)
    assert (answer.owner_id, answer.cycle, answer.is_new) == ("ana", 3, True)
    assert table.to_review(METHODS) == ("card-1",)


def test_where_all_are_refused_it_is_refused() -> None:
    answer = asked_of(policy(card="refuse", wallet="refuse", paypal="refuse"), *METHODS)
    assert isinstance(answer, Refusal)
    assert answer.reason == "not_accepted"


def test_what_stands_in_the_way_otherwise_comes_before_a_review() -> None:
    answer = asked_of(policy(card="review"), identity_verified=False)
    assert isinstance(answer, Refusal)
    assert answer.reason == "identity_not_verified"
    assert asked_of(policy(card="review"), open_renewal_id=UUID(int=7)) == SLOT_TAKEN


def test_a_rules_renewal_is_called_off_only_for_what_may_be_paid() -> None:
    held: dict[str, Any] = {"open_renewal_id": UUID(int=7), "open_state": "priced", "open_by_rule": True}
    assert isinstance(asked_of(policy(card="review"), **held), InReview)
    assert isinstance(asked_of(policy(card="allow"), **held), Waits)


def test_it_waits_a_day_at_most_and_no_longer_than_was_asked() -> None:
    table = policy(card="review")
    soon = ask(request(), methods=KNOWN, acceptance=table)
    assert isinstance(soon, InReview)
    assert soon.deadline_at == T0 + timedelta(minutes=5)
    later = ask(request(act_before=None), methods=KNOWN, acceptance=table)
    assert isinstance(later, InReview)
    assert later.deadline_at == T0 + timedelta(seconds=POLICY.review_seconds) == T0 + DAY


def test_what_is_in_review_waits_on_until_the_same_instant_and_is_over_then() -> None:
    open_one = reviewed("in_review", deadline_at=T0 + timedelta(seconds=1))
    answer = asked_of(policy(open_one, card="review"))
    assert isinstance(answer, InReview)
    assert (answer.deadline_at, answer.is_new) == (T0 + timedelta(seconds=1), False)
    assert asked_of(policy(reviewed("in_review", deadline_at=T0), card="review")) == REVIEW_EXPIRED


def test_an_approval_is_good_for_the_methods_that_were_seen() -> None:
    table = policy(reviewed("approved", "card-1"), card="review")
    admitted = asked_of(table, "card-2", "card-1")
    assert isinstance(admitted, Admitted)
    assert admitted.terms.payment_method_ids == ("card-1",)
    other = asked_of(table, "card-2")
    assert isinstance(other, Refusal)
    assert other.reason == "not_accepted"


@pytest.mark.parametrize("state", ["refused", "withdrawn"])
def test_what_was_decided_against_is_refused(state: ReviewState) -> None:
    decided = policy(reviewed(state), card="review", wallet="allow")
    assert [decided.verdict(method) for method in ("card-1", "wallet-1")] == ["refuse", "allow"]


def test_while_a_person_may_be_asked_nothing_speaks_against_it() -> None:
    assert policy(card="review").objection(["card-1"]) is None


def test_an_approval_does_not_undo_what_the_table_refuses_by_now() -> None:
    answer = asked_of(policy(reviewed("approved"), card="refuse"))
    assert isinstance(answer, Refusal)


@pytest.mark.parametrize(
    ("state", "why"),
    [("refused", REVIEW_EXPIRED), ("refused", Refusal("not_accepted", "No.")), ("withdrawn", WITHDRAWN)],
)
def test_what_was_not_approved_is_refused_as_it_was_then(state: ReviewState, why: Refusal) -> None:
    decided = reviewed(state, reason=why.reason, detail=why.detail)
    assert asked_of(policy(decided, card="review")) == why
    assert isinstance(asked_of(policy(decided, card="allow")), Admitted), "the table allows it by now"


def test_the_same_request_again_is_the_same_answer() -> None:
    joined = ask(existing_hash=request().fingerprint, acceptance=policy(card="review"))
    assert isinstance(joined, Joined)


def test_for_what_is_under_way_nobody_is_asked() -> None:
    table = policy(card="review")
    assert acceptance_refusal(["card-1"], table) is None
    refusal = acceptance_refusal(["card-1"], table, may_ask=False)
    assert refusal is not None
    assert refusal.reason == "not_accepted"
    approved = policy(reviewed("approved"), card="review")
    assert acceptance_refusal(["card-1"], approved, may_ask=False) is None


def review(**different: Any) -> Review:
    wanted = request(payment_method_ids=METHODS, **different)
    table = policy(card="review", wallet="review", paypal="refuse")
    return review_of(InReview(wanted.renewal_id, wanted, table, "ana", 3, T0 + DAY), T0)


def test_what_is_kept_is_the_request_as_it_was_made_and_what_is_asked_about_it() -> None:
    kept = review(traceparent="00-trace")
    assert kept.request == request(payment_method_ids=METHODS, traceparent="00-trace")
    assert kept.request_hash == kept.request.fingerprint
    assert (kept.reviewed, kept.kinds) == ("card-1,wallet-1", "card,wallet")
    assert (kept.destination, kept.payer_country) == ("CU", "US")
    assert not kept.is_a_rules


def test_a_method_that_nobody_told_us_of_is_of_unknown_kind() -> None:
    wanted = request(payment_method_ids=("card-9",))
    table = Acceptance("CU", "US", KINDS, [Entry(ANY, ANY, ANY, "review")])
    assert review_of(InReview(wanted.renewal_id, wanted, table, "ana", 3, T0 + DAY), T0).kinds == "unknown"


def test_the_reasons_that_are_told_are_those_of_the_page() -> None:
    """Clients and pages know refusals by them."""
    assert (WITHDRAWN.reason, REVIEW_OPEN.reason) == ("customer_cancelled", "review_open")


def test_what_is_due_cannot_be_decided_any_more_and_what_has_ended_neither() -> None:
    kept = review()
    assert kept.is_open(T0)
    assert not kept.is_open(kept.deadline_at)
    ended = kept.ended("refused", T0, REVIEW_EXPIRED)
    assert (ended.version, ended.ended_at, ended.reason) == (2, T0, "review_expired")
    assert ended.detail == REVIEW_EXPIRED.detail
    assert not ended.is_open(T0)
    assert kept.ended("approved", T0).reason is None


def test_a_rules_trigger_is_reviewed_on_the_rules_terms_before_anybody_is_told_of_a_charge() -> None:
    answer = pull(known=told(notice_seconds=3600), acceptance=policy(card="review"))
    assert isinstance(answer, InReview)
    assert (answer.request.origin, answer.request.max_amount_minor) == ("rule", 800)
    kept = review_of(answer, T0)
    assert (kept.renewal_id, kept.dunning_try, kept.cycle) == (TRIGGER.renewal_id, 1, 3)
    assert kept.is_a_rules
    assert kept.request == answer.request
    approved = policy(reviewed("approved"), card="review")
    assert isinstance(pull(known=told(notice_seconds=3600), acceptance=approved), Announced)


def test_the_decision_about_a_trigger_says_that_a_person_decides_and_until_when() -> None:
    decision = decision_of(TRIGGER, pull(acceptance=policy(card="review")), T0)
    assert (decision.outcome, decision.reason) == ("waiting", "in_review")
    assert (decision.detail, decision.next_try_at) == (SENTENCES["in_review"], T0 + DAY)
    assert decision.renewal_id is None


def test_in_shadow_nobody_is_asked() -> None:
    answer = pull(acceptance=policy(card="review"))
    assert isinstance(answer, InReview)
    decision = decision_of(TRIGGER, Shadowed(answer), T0)
    assert (decision.outcome, decision.reason, decision.shadow) == ("would_wait", "in_review", True)


def test_a_trigger_that_is_held_up_otherwise_is_not_asked_about() -> None:
    held = pull(acceptance=policy(card="review"), open_renewal_id=UUID(int=7))
    assert isinstance(held, Kept)
    assert held.trigger.held_by != UNTIL
