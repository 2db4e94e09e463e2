"""The pieces that services build their routes from, without a server."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from shared.http.body import Body
from shared.http.bulk import Bulk
from shared.http.idempotency import request_hash
from shared.http.paging import Position, decode_cursor, encode_cursor
from shared.http.problems import Problem

PLACE = TypeAdapter(tuple[AwareDatetime, UUID])


class Inner(Body):
    count: int


class Outer(Body):
    id: UUID
    at: AwareDatetime
    inner: tuple[Inner, ...] = ()
    marks: dict[str, int] = Field(default_factory=dict)


AT = datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_a_body_is_made_in_python_as_well_as_from_json() -> None:
    made = Outer(id=UUID(int=1), at=AT, inner=(Inner(count=1),))
    assert Outer.model_validate_json(made.model_dump_json()) == made
    assert TypeAdapter(Outer).validate_python(made.model_dump(mode="json")) == made


def test_a_nested_body_is_as_strict_as_the_outer_one() -> None:
    read: Any = {
        "id": str(uuid4()),
        "at": AT.isoformat(),
        "inner": [{"count": True}, {"count": 1, "more": 2}],
    }
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Outer).validate_python(read)
    assert [fault["loc"] for fault in refused.value.errors()] == [("inner", 0, "count"), ("inner", 1, "more")]


def test_a_good_item_of_a_bulk_body_is_read_alike_whether_all_are_good_or_not() -> None:
    good: Any = {"id": str(uuid4()), "at": AT.isoformat(), "inner": [{"count": 1}], "marks": {"a": 2}}
    bulk = TypeAdapter(Bulk[Outer])
    alone = TypeAdapter(Outer).validate_python(good)
    assert bulk.validate_python({"items": [good, good]}).valid == [(0, alone), (1, alone)]
    assert bulk.validate_python({"items": [good, {}, good | {"id": 1}, good]}).valid == [
        (0, alone),
        (3, alone),
    ]


@pytest.mark.parametrize("read", [{"items": []}, {"items": 7}, {"items": [{}], "more": 1}, {}, [], None])
def test_a_bulk_body_of_another_shape_is_refused_as_a_whole(read: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Bulk[Outer]).validate_python(read)


def test_two_bodies_that_say_the_same_have_the_same_hash() -> None:
    one = Outer(id=UUID(int=1), at=AT, marks={"a": 1, "b": 2})
    same = Outer(id=UUID(int=1), at=AT, inner=(), marks={"b": 2, "a": 1})
    other = Outer(id=UUID(int=1), at=AT, marks={"a": 1, "b": 3})
    assert request_hash(one) == request_hash(same)
    assert request_hash(one) != request_hash(other)
    assert len(request_hash(one)) == 32


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_gives_back_the_place_it_was_made_from(at: datetime, row_id: UUID) -> None:
    assert decode_cursor(encode_cursor((at, row_id)), PLACE) == (at, row_id)


@given(st.text(max_size=60) | st.builds(encode_cursor, st.lists(st.integers(-9, 9) | st.text(), max_size=3)))
def test_a_cursor_that_was_not_made_here_is_a_problem_and_never_a_failure(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(cursor, PLACE)
    assert refused.value.type == "invalid-cursor"


@pytest.mark.parametrize(
    ("place", "json"),
    [
        (PLACE, b'["0001-01-01T00:00:00+14:00", "00000000-0000-0000-0000-000000000001"]'),
        (PLACE, b'["9999-12-31T23:59:59-12:00", "00000000-0000-0000-0000-000000000001"]'),
        (TypeAdapter(tuple[int]), b"[9223372036854775808]"),
        (TypeAdapter(tuple[int]), b"[-9223372036854775809]"),
    ],
)
def test_a_cursor_with_what_no_column_can_hold_is_a_problem(place: TypeAdapter[Any], json: bytes) -> None:
    with pytest.raises(Problem) as refused:
        decode_cursor(urlsafe_b64encode(json).decode(), place)
    assert refused.value.type == "invalid-cursor"


def test_the_last_page_has_no_next_cursor() -> None:
    rows = [(AT, UUID(int=number)) for number in range(3)]
    position = Position(None, limit=2)
    kept, following = position.cut(rows, lambda row: row)
    assert kept == rows[:2]
    assert following is not None
    assert Position(following, 2).after(PLACE) == rows[1]
    assert position.cut(rows[:2], lambda row: row) == (rows[:2], None)
    assert position.after(PLACE) is None
