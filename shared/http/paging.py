"""Lists in pages: an opaque cursor says where the next page begins, so that no item is missed or doubled."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Generic, TypeVar

import orjson
from fastapi import Depends, Query
from pydantic import TypeAdapter, ValidationError

from shared.http.body import Answer
from shared.http.problems import Problem

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
LONGEST_CURSOR = 512

Item = TypeVar("Item")
Row = TypeVar("Row")
Place = TypeVar("Place")


class Page(Answer, Generic[Item]):
    """Items in the list's order; `next_cursor` begins the next page and is null on the last."""

    items: list[Item]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Which page is asked for. Select `limit + 1` rows after `after(...)` and give them to `cut`."""

    cursor: str | None
    limit: int

    def after(self, place: TypeAdapter[Place]) -> Place | None:
        """The sort values of the last item seen, e.g. for TypeAdapter(tuple[AwareDatetime, UUID])."""
        return None if self.cursor is None else decode_cursor(self.cursor, place)

    def cut(
        self, rows: Sequence[Row], place_of: Callable[[Row], Sequence[object]]
    ) -> tuple[list[Row], str | None]:
        """The rows of this page and the cursor of the next, from at most `limit + 1` rows."""
        kept = list(rows[: self.limit])
        return kept, encode_cursor(place_of(kept[-1])) if len(rows) > self.limit else None


def encode_cursor(place: Sequence[object]) -> str:
    """An opaque text for the sort values of an item: UUIDs, instants, texts, integers."""
    return urlsafe_b64encode(orjson.dumps(list(place), default=str)).rstrip(b"=").decode()


def decode_cursor(cursor: str, place: TypeAdapter[Place]) -> Place:
    """The sort values in a cursor. One that we did not make is a 400, whatever it holds."""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if b"\\u0000" in text:
            raise ValueError("NUL")
        found = place.validate_json(text, strict=True)
        if not all(map(_is_storable, found)):  # type: ignore[call-overload] # a place is a tuple
            raise ValueError("no column can hold it")
        return found
    except (ValueError, ValidationError):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            type="invalid-cursor",
            title="The cursor is not one of this list",
            detail="The value of `cursor` was not made by this list, so nothing was read. "
            "Send `next_cursor` of the page before exactly as it came, or leave it out to begin again.",
        ) from None


def _is_storable(value: object) -> bool:
    """Whether PostgreSQL can be asked with it: in its 64 bits, or an instant that has a date in UTC."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, datetime):
        try:
            value.astimezone(UTC)
        except OverflowError:
            return False
    return True


async def _position(
    cursor: Annotated[
        str | None, Query(max_length=LONGEST_CURSOR, description="`next_cursor` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on the page.")] = DEFAULT_LIMIT,
) -> Position:
    return Position(cursor, limit)


Cursor = Annotated[Position, Depends(_position)]
"""The query parameters `cursor` and `limit`."""
