"""A fault is told once, at its place in what was sent: what reads the request is nobody's business."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.http.problems import invalid_request

KEY = {"Idempotency-Key": "k-1"}
GOOD: dict[str, Any] = {"name": "p-1", "amount_minor": 5}
NO_WORD = "Input should be 'home' or 'work'"


def stops(*sent: Any) -> dict[str, Any]:
    return GOOD | {"stops": list(sent)}


async def test_a_field_of_several_forms_is_one_field_that_every_form_tells_of(ask: Any) -> None:
    reply = await ask("POST", "/v1/parcels", stops("home", "moon"), KEY)
    assert "One field of the request" in reply.json["detail"]
    [error] = reply.json["errors"]
    assert error["pointer"] == "/stops/1"
    assert error["message"].startswith(NO_WORD + "; or: ")


@pytest.mark.parametrize(
    ("stop", "pointer"),
    [
        ({"street": "s", "floor": "x"}, "/stops/1/floor"),
        ({"floor": 1}, "/stops/1/street"),
        ({"street": "s", "a/b~": 1}, "/stops/1/a~1b~0"),
    ],
    ids=["a wrong member", "a missing one", "an unknown one"],
)
async def test_a_fault_within_one_form_is_told_by_its_place(ask: Any, stop: Any, pointer: str) -> None:
    reply = await ask("POST", "/v1/parcels", stops("home", stop), KEY)
    assert [error["pointer"] for error in reply.json["errors"]] == ["/stops/1", pointer]
    assert "2 fields of the request" in reply.json["detail"]


async def test_a_bad_item_does_not_make_its_list_too_short_but_a_short_list_is(ask: Any) -> None:
    bad, short = [await ask("POST", "/v1/parcels", stops(*sent), KEY) for sent in (("home", 7), ("home",))]
    assert [error["pointer"] for error in bad.json["errors"]] == ["/stops/1"]
    assert [error["pointer"] for error in short.json["errors"]] == ["/stops"]


async def test_an_item_among_many_tells_its_faults_the_same_way(ask: Any) -> None:
    reply = await ask("POST", "/v1/parcels/bulk", {"items": [GOOD, stops("home", "moon")]}, KEY)
    [refused] = reply.json["refused"]
    assert refused["index"] == 1
    assert [error["pointer"] for error in refused["problem"]["errors"]] == ["/stops/1"]


async def test_a_parameter_of_several_lists_of_words_is_one_field_by_its_name(ask: Any) -> None:
    reply = await ask("GET", "/v1/parcels?size=m&size=xl")
    assert "One field of the request" in reply.json["detail"]
    [error] = reply.json["errors"]
    assert (error["location"], error["name"]) == ("query", "size.1")
    assert error["message"] == "Input should be 's' or 'm'; or: Input should be 'l'"


def test_a_key_that_is_wrong_is_told_as_the_member_that_it_names() -> None:
    sent = {"seven": 7}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[int, int]).validate_python(sent)
    document = invalid_request(caught.value.errors(), sent).document()
    assert [error["pointer"] for error in document["errors"]] == ["/seven"]
