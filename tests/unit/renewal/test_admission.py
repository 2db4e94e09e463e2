"""Who may renew what: the decision, given what others have told us."""

from datetime import timedelta
from typing import Any

import pytest

from services.renewal.domain.acceptance import ANY, Acceptance, Entry
from services.renewal.domain.admission import (
    CHECKS,
    REUSED,
    SLOT_TAKEN,
    Admitted,
    Joined,
    Refusal,
    Standing,
    answer_request,
)
from services.renewal.domain.asking import Request
from services.renewal.domain.policy import POLICY
from shared.contracts.fields import Origin
from tests.unit.renewal.story import T0


def request(**different: Any) -> Request:
    return Request(
        caller="crm",
        request_id="r-1",
        subscription_id="sub-1",
        offering_id="cuba-1gb",
        max_amount_minor=1000,
        currency="USD",
        payment_method_ids=("card-1",),
        payer_id=None,
        act_before=T0 + timedelta(minutes=5),
        is_told=True,
        is_bulk=True,
    )._replace(**different)


def standing(**different: Any) -> Standing:
    """Everything as it must be."""
    return Standing(
        renewal_id=request().renewal_id,
        existing_hash=None,
        refused_hash=None,
        refused_reason=None,
        refused_detail=None,
        brand="ola",
        carrier="cubacel",
        owner_id="ana",
        status="active",
        device_bound=True,
        device_matches=True,
        cycle=3,
        identity_verified=True,
        offering_status="on_sale",
        offering_brands=[],
        offering_carriers=["cubacel", "other"],
        offering_statuses=["active", "suspended"],
        methods=["card-1 ana active"],
        open_renewal_id=None,
    )._replace(**different)


def ask(asked: Request | None = None, **different: Any) -> object:
    return answer_request(asked or request(), standing(**different), T0, POLICY)


REFUSING = Acceptance("CU", "US", {"card-1": "card"}, [Entry("CU", ANY, ANY, "refuse")])


def merged(each: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: value for different in each.values() for name, value in different.items()}


def reason_of(answer: object) -> str:
    assert isinstance(answer, Refusal)
    return answer.reason


def test_a_request_that_may_is_admitted_on_its_own_terms() -> None:
    admitted = ask()
    assert isinstance(admitted, Admitted)
    renewal = admitted.renewal
    assert (renewal.state, renewal.version, renewal.cycle) == ("requested", 1, 3)
    assert renewal.agreed == admitted.terms
    assert (admitted.terms.payer_id, admitted.terms.max_amount_minor) == ("ana", 1000)
    assert admitted.terms.is_bulk
    assert renewal.deadline_at == T0 + timedelta(seconds=POLICY.deadline_seconds["customer"])
    assert renewal.next_due_at == T0 + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("reason", "different"),
    [
        ("subscription_unknown", {"status": None, "owner_id": None}),
        ("identity_not_verified", {"identity_verified": False}),
        ("identity_not_verified", {"identity_verified": None}),
        ("device_not_bound", {"device_bound": False}),
        ("device_changed", {"device_matches": False}),
        ("offering_unknown", {"offering_status": None}),
        ("offering_withdrawn", {"offering_status": "withdrawn"}),
        ("brand_not_eligible", {"offering_brands": ["zeta"]}),
        ("carrier_not_eligible", {"offering_carriers": ["zeta"]}),
        ("status_not_eligible", {"status": "terminated"}),
        ("payment_method_unknown", {"methods": []}),
        ("payment_method_unknown", {"methods": ["card-1 eva active"]}),
        ("payment_method_inactive", {"methods": ["card-1 ana removed"]}),
        ("slot_taken", {"open_renewal_id": request().renewal_id}),
    ],
)
def test_what_stands_in_the_way_is_said_with_a_way_out(reason: str, different: dict[str, Any]) -> None:
    refusal = ask(**different)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert refusal.detail.endswith(".")
    assert refusal.detail.count(".") >= 2, "what is wrong, and what to do"


def test_a_request_read_too_late_is_refused_and_one_without_a_limit_is_not() -> None:
    late = ask(request(act_before=T0))
    assert isinstance(late, Refusal)
    assert late.reason == "too_late"
    assert isinstance(ask(request(act_before=None)), Admitted)


def test_every_method_must_be_the_payers() -> None:
    both = request(payment_method_ids=("card-1", "card-2"))
    assert isinstance(ask(both, methods=["card-1 ana active", "card-2 ana active"]), Admitted)
    assert isinstance(ask(both, methods=["card-1 ana active", "card-2 eva active"]), Refusal)
    assert isinstance(ask(request(payer_id="eva"), methods=["card-1 eva active"]), Admitted)


def test_the_same_request_again_joins_and_another_under_its_id_is_refused() -> None:
    known = request().fingerprint
    assert ask(existing_hash=known) == Joined(request().renewal_id)
    assert ask(request(max_amount_minor=1), existing_hash=known) == REUSED
    assert REUSED.reason == "idempotency_key_reused"
    assert ask(existing_hash=known, open_renewal_id=request().renewal_id) == Joined(request().renewal_id)


def test_a_kept_refusal_is_repeated_only_to_those_it_was_told() -> None:
    before: dict[str, Any] = {
        "refused_hash": request().fingerprint,
        "refused_reason": "slot_taken",
        "refused_detail": "Wait.",
    }
    assert ask(**before) == Refusal("slot_taken", "Wait.")
    assert isinstance(ask(request(is_told=False), **before), Admitted)


def test_of_all_that_stands_in_the_way_the_first_is_said() -> None:
    """Each is seen once the one before it is gone; the slot, which frees by itself, comes last."""
    in_the_way: list[tuple[str, dict[str, Any]]] = [
        ("subscription_unknown", {"status": None}),
        ("identity_not_verified", {"identity_verified": False}),
        ("device_not_bound", {"device_bound": False}),
        ("device_changed", {"device_matches": False}),
        ("offering_withdrawn", {"offering_status": "withdrawn"}),
        ("brand_not_eligible", {"offering_brands": ["zeta"]}),
        ("carrier_not_eligible", {"offering_carriers": ["zeta"]}),
        ("status_not_eligible", {"offering_statuses": []}),
        ("payment_method_unknown", {"methods": []}),
        ("not_accepted", {"acceptance": REFUSING}),
        ("slot_taken", {"open_renewal_id": request().renewal_id}),
    ]
    reasons = [reason for reason, _ in in_the_way]
    said, left = [], dict(in_the_way)
    assert reason_of(ask(request(act_before=T0), **merged(left))) == "too_late"
    for reason in reasons:
        said.append(reason_of(ask(**merged(left))))
        del left[reason]
    assert said == reasons
    assert isinstance(ask(**merged(left)), Admitted)


@pytest.mark.parametrize("origin", ["customer", "rule"])
def test_the_slot_is_asked_last_so_that_better_answers_come_first(origin: Origin) -> None:
    assert (
        CHECKS[-1](request(origin=origin), standing(open_renewal_id=request().renewal_id), T0) == SLOT_TAKEN
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"subscription_id": "sub-2"}, {}),
        ({"payer_id": "ana"}, {"payer_id": None}),
        ({"payment_method_ids": ("card-1", "card-2")}, {"payment_method_ids": ("card-2", "card-1")}),
        ({"currency": "EUR"}, {}),
    ],
)
def test_what_is_asked_makes_the_fingerprint(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert request(**one).fingerprint != request(**other).fingerprint


def test_how_it_came_does_not_make_the_fingerprint() -> None:
    assert request(act_before=None, is_told=False, traceparent="x").fingerprint == request().fingerprint
