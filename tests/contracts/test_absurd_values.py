"""An absurd value is refused where it is read, whichever field of whichever message it is in."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import BaseModel, ValidationError

from shared.contracts import MESSAGES
from shared.contracts.fields import MAX_AMOUNT_MINOR, MAX_BYTES, MAX_VALIDITY_SECONDS
from shared.contracts.message import Message

EVERY_MESSAGE = pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
Example = Callable[[type[Message]], dict[str, Any]]
Path = tuple[str, ...]

NOT_A_NUMBER: list[Any] = [-1, 2**63, 10**40, 1.5, 5.0, True, "5", "", [], {}]
NOT_A_FLAG: list[Any] = [0, 1, "true", "yes", [], {}]
NOT_A_TEXT: list[Any] = [5, True, 1.5, [], {}, "x" * 501]
NOT_AN_ID: list[Any] = [*NOT_A_TEXT, "", " ", "two words", "x" * 65, "line\n", "a\x00b", "-first", "naïve"]
NOT_AN_INSTANT: list[Any] = [1763892000, "2026-11-23T10:15:00", "2026-11-23", "soon", "", True, [], {}]


def refused(message: type[Message], values: dict[str, Any]) -> bool:
    try:
        message.model_validate_json(json.dumps(values))
    except ValidationError:
        return True
    return False


def fields_of(model: type[BaseModel], at: Path = ()) -> Iterator[tuple[Path, Any, bool]]:
    """Every field with its path, its annotation and whether it may be null, parts included."""
    for name, annotation in get_type_hints(model, include_extras=True).items():
        if name not in model.model_fields:
            continue
        kind = model.model_fields[name].annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from fields_of(kind, (*at, name))
        yield (*at, name), annotation, type(None) in get_args(annotation)


def changed(values: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(values)
    target = values
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    return values


def absurd_for(path: Path, value: Any) -> list[Any]:
    """What must not be accepted instead of the example's value, by what kind of value that is."""
    if isinstance(value, bool):
        return NOT_A_FLAG
    if isinstance(value, int):
        return NOT_A_NUMBER
    if isinstance(value, dict):
        return [[], "text", 5, {}]
    if isinstance(value, list):
        return ["text", 5, {}, [5], [""], [None]]
    if path[-1].endswith(("_at", "_before", "_by")) and path[-1] != "decided_by":
        return NOT_AN_INSTANT
    return NOT_A_TEXT if path[-1] in ("detail", "name") else NOT_AN_ID


@EVERY_MESSAGE
def test_no_field_takes_an_absurd_value(message: type[Message], example: Example) -> None:
    values = example(message)
    accepted = []
    for path, _, nullable in fields_of(message):
        value = values
        for name in path:
            value = value[name]
        if value is None:
            continue
        candidates = absurd_for(path, value) + ([] if nullable else [None])
        accepted += [
            (path, absurd) for absurd in candidates if not refused(message, changed(values, path, absurd))
        ]
    assert accepted == []


@EVERY_MESSAGE
def test_no_required_field_may_be_missing(message: type[Message], example: Example) -> None:
    values = example(message)
    for name, field in message.model_fields.items():
        if field.is_required():
            assert refused(message, {key: value for key, value in values.items() if key != name}), name


@EVERY_MESSAGE
def test_what_is_not_an_object_is_refused(message: type[Message]) -> None:
    for text in ("", "null", "[]", '"text"', "5", "{", "\x00", "NaN", "[" * 100_000):
        with pytest.raises(ValidationError):
            message.model_validate_json(text)


ONE_TOO_FAR = [
    ("RenewalRequested", ("terms", "max_amount_minor"), 0),
    ("RenewalRequested", ("terms", "max_amount_minor"), MAX_AMOUNT_MINOR + 1),
    ("RenewalRequested", ("terms", "currency"), "eur"),
    ("RenewalRequested", ("terms", "currency"), "EURO"),
    ("RenewalRequested", ("terms", "origin"), "operator"),
    ("RenewalRequested", ("attempt",), 0),
    ("RenewalRequested", ("attempt",), 2**31),
    ("RenewalRequested", ("renewal_id",), "0199e2c4-7b1a-7c3e-9d52"),
    ("PaymentCaptured", ("grant", "data_bytes"), 0),
    ("PaymentCaptured", ("grant", "data_bytes"), MAX_BYTES + 1),
    ("PaymentCaptured", ("grant", "validity_seconds"), MAX_VALIDITY_SECONDS + 1),
    ("PaymentCaptured", ("grant", "stacking"), "pile"),
    ("PaymentCaptured", ("captured_at",), "2026-11-23T10:15:00.871"),
    ("PaymentDeclined", ("decline_class",), "medium"),
    ("ResolveTopUp", ("decision",), "perhaps"),
    ("UsageRecorded", ("bytes_down",), MAX_BYTES + 1),
    ("UsageRecorded", ("bytes_up",), -1),
    ("UsageRecorded", ("imei",), "353289114829070"),
    ("UsageRecorded", ("country",), "cu"),
    ("SubscriptionChanged", ("eid",), "89049032005522113344778899001200"),
    ("SubscriptionChanged", ("bound_imei",), "35328911482907"),
    ("SubscriptionChanged", ("status",), "ACTIVE"),
    ("OfferingChanged", ("destination",), "CUB"),
    ("OfferingChanged", ("subscription_statuses",), ["asleep"]),
    ("RequestRenewal", ("payment_method_ids",), []),
    ("RequestRenewal", ("payment_method_ids",), ["pm"] * 9),
    ("RequestRenewal", ("expected_amount_minor",), 0),
]


@pytest.mark.parametrize(("name", "path", "value"), ONE_TOO_FAR)
def test_a_value_just_outside_its_range_is_refused(
    name: str, path: Path, value: Any, example: Example
) -> None:
    message = MESSAGES[name]
    assert not refused(message, example(message))
    assert refused(message, changed(example(message), path, value))


@pytest.mark.parametrize("place", range(19))
def test_an_iccid_with_one_wrong_digit_is_refused(place: int, example: Example) -> None:
    message = MESSAGES["UsageRecorded"]
    iccid = example(message)["iccid"]
    wrong = iccid[:place] + str((int(iccid[place]) + 1) % 10) + iccid[place + 1 :]
    assert refused(message, changed(example(message), ("iccid",), wrong))


def test_a_message_cannot_be_changed_once_made(example: Example) -> None:
    message, field = MESSAGES["RenewalRequested"], "version"
    made = message.model_validate_json(json.dumps(example(message)))
    with pytest.raises(ValidationError):
        setattr(made, field, 4)
