"""A trigger with its limit in a few characters, as it stands in a field of CSV."""

from typing import Any, Final

import pytest
from pydantic import ValidationError

from services.renewal.rules.domain.rule import TriggerWish
from services.renewal.rules.views import BulkRule
from shared.http.problems import invalid_request

RULE: Final = {
    "subscription_id": "sub-1",
    "offering_id": "cuba-1gb",
    "payment_method_ids": ["card-1"],
    "cap_amount_minor": 800,
    "currency": "USD",
}


def wishes(*triggers: Any) -> tuple[TriggerWish, ...]:
    return BulkRule.model_validate({**RULE, "triggers": list(triggers)}).instruction.triggers


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("exhausted", TriggerWish(kind="exhausted")),
        ("threshold", TriggerWish(kind="threshold")),
        ("threshold:20%", TriggerWish(kind="threshold", percent=20)),
        ("threshold:500000000", TriggerWish(kind="threshold", bytes=500_000_000)),
        ("expiring:86400", TriggerWish(kind="expiring", within_seconds=86_400)),
        ("predicted:900", TriggerWish(kind="predicted", within_seconds=900)),
    ],
)
def test_a_text_is_the_wish_that_it_names(text: str, wish: TriggerWish) -> None:
    assert wishes(text) == (wish,)


def test_a_text_and_its_object_are_the_same() -> None:
    assert wishes("threshold:20%") == wishes({"kind": "threshold", "percent": 20})


@pytest.mark.parametrize(
    "text",
    [
        "threshold:0%",
        "threshold:101%",
        "threshold:",
        "exhausted:5",
        "expiring:20%",
        "expiring:0",
        "used:5",
        "",
    ],
)
def test_a_slip_is_refused_and_not_guessed_at(text: str) -> None:
    with pytest.raises(ValidationError):
        wishes(text)


@pytest.mark.parametrize(
    ("trigger", "pointer", "told"),
    [
        ("bogus", "/triggers/1", "Input should be 'exhausted', "),
        ("threshold:500%", "/triggers/1", "String should match pattern"),
        ({"kind": "threshold", "percent": 500}, "/triggers/1/percent", "less than or equal to 100"),
        ({"percent": 5}, "/triggers/1/kind", "Field required"),
        ({"kind": "exhausted", "percent": 5}, "/triggers/1", "go with the kind threshold"),
        (5, "/triggers/1", "a kind of trigger as text, or an object"),
    ],
)
def test_only_the_form_that_a_trigger_is_sent_in_tells_what_is_wrong(
    trigger: Any, pointer: str, told: str
) -> None:
    body = {**RULE, "triggers": ["exhausted", trigger]}
    with pytest.raises(ValidationError) as caught:
        BulkRule.model_validate(body)
    document = invalid_request(caught.value.errors(), body).document()
    [error] = document["errors"]
    assert error["pointer"] == pointer
    assert told in error["message"]
