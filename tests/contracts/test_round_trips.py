"""Any message that can be made can be read again from what was written."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from shared.contracts import MESSAGES, fields
from shared.contracts.checks import eid_is_valid, eid_with_check, luhn_digit, luhn_is_valid
from shared.contracts.message import Message

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = (UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=45)))
INSTANTS = st.builds(
    lambda microseconds, zone: (EPOCH + timedelta(microseconds=microseconds)).astimezone(zone),
    st.integers(0, 10**17),
    st.sampled_from(ZONES),
)
IDS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


# Field types by what makes a valid value of them.
STRATEGIES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (fields.Id, IDS),
    (fields.AmountMinor, st.integers(0, fields.MAX_AMOUNT_MINOR)),
    (fields.ChargeMinor, st.integers(1, fields.MAX_AMOUNT_MINOR)),
    (fields.Currency, st.text("ABCXYZ", min_size=3, max_size=3)),
    (fields.Country, st.text("ABCXYZ", min_size=2, max_size=2)),
    (fields.Bytes, st.integers(0, fields.MAX_BYTES)),
    (fields.GrantedBytes, st.integers(1, fields.MAX_BYTES)),
    (fields.ValiditySeconds, st.integers(1, fields.MAX_VALIDITY_SECONDS)),
    (fields.Percent, st.integers(1, 100)),
    (fields.AheadSeconds, st.integers(1, 31 * 86_400)),
    (fields.Count, st.integers(0, 2**31 - 1)),
    (fields.Attempt, st.integers(1, 2**31 - 1)),
    (fields.Text, st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=500)),
    (fields.Url, st.from_regex(r"\Ahttps?://[!-~]{1,480}\Z")),
    (
        fields.Iccid,
        st.integers(15, 17).flatmap(digits).map(lambda rest: "89" + rest + luhn_digit("89" + rest)),
    ),
    (fields.Imei, digits(14).map(lambda number: number + luhn_digit(number))),
    (fields.Eid, digits(30).map(eid_with_check)),
    (fields.Msisdn, st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z")),
    (fields.Instant, INSTANTS),
    (UUID, st.uuids()),
    (bool, st.booleans()),
]


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """A strategy for a field's annotation."""
    for known, strategy in STRATEGIES:
        if annotation is known or annotation == known:
            return strategy
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return messages(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:  # The one bounded tuple.
        return st.lists(values_of(get_args(arguments[0])[0]), min_size=1, max_size=8).map(tuple)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=4).map(tuple)
    return st.one_of(*(st.none() if kind is type(None) else values_of(kind) for kind in arguments))


def messages(model: type[Any]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(model, include_extras=True)
    return st.builds(model, **{name: values_of(hints[name]) for name in model.model_fields})


@pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_message_is_read_as_it_was_written(message: type[Message], data: st.DataObject) -> None:
    made = data.draw(messages(message))
    read = message.model_validate_json(made.model_dump_json())
    assert read == made
    assert (read.event_id, read.key, read.subject) == (made.event_id, made.key, made.subject)
    assert read.model_dump_json() == message.model_validate_json(read.model_dump_json()).model_dump_json()


@given(digits(17))
def test_a_luhn_digit_finds_every_single_wrong_digit(number: str) -> None:
    whole = number + luhn_digit(number)
    assert luhn_is_valid(whole)
    assert not any(
        luhn_is_valid(whole[:place] + str((int(digit) + 1) % 10) + whole[place + 1 :])
        for place, digit in enumerate(whole)
    )


@given(digits(30), st.integers(0, 31))
def test_an_eids_check_digits_find_every_single_wrong_digit(number: str, place: int) -> None:
    eid = eid_with_check(number)
    assert len(eid) == 32
    assert eid_is_valid(eid)
    assert not eid_is_valid(eid[:place] + str((int(eid[place]) + 1) % 10) + eid[place + 1 :])


@given(st.text(max_size=40))
def test_checks_answer_for_any_text(text: str) -> None:
    assert not (eid_is_valid(text) and len(text) != 32)
    luhn_is_valid(text)
