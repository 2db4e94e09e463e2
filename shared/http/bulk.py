"""Many things in one request. Each is judged by itself: what is wrong with one does not stop the others."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, PydanticSerializationError, core_schema, to_json

from shared.http.body import Answer, Body, Read
from shared.http.problems import Problem, invalid_request

MAX_ITEMS = 1000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Invalid:
    """Stands where an item could not be read."""

    problem: Problem


class _ByItself:
    """Reads an item on its own, and puts an `Invalid` in its place where that fails."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        @cache
        def adapter() -> TypeAdapter[Any]:
            return TypeAdapter(source)

        def read(value: Any, _read_inside: core_schema.ValidatorFunctionWrapHandler) -> Any:
            if isinstance(value, Invalid | source):
                return value
            try:
                # Not from inside: there, a list read from JSON hands over Python values but has their
                # strict types checked as if they were JSON, and no instant or UUID would pass.
                return adapter().validate_python(value)
            except ValidationError as error:
                faults = error.errors(include_url=False, include_context=False, include_input=False)
                return Invalid(invalid_request(faults, value))

        return core_schema.no_info_wrap_validator_function(read, handler(source))


class Refused(Answer):
    """Which item (counted from 0) was refused, and why, as a problem document."""

    index: int
    problem: dict[str, Any]


class BulkAnswer(Answer):
    """How many items were accepted, and every one that was not."""

    accepted: int
    refused: list[Refused]


class Bulk(Body, Generic[Item]):
    """The body of a bulk request: 1 to 1,000 items, some of which may turn out not to be readable."""

    items: Annotated[list[Annotated[Item, _ByItself()]], Field(min_length=1, max_length=MAX_ITEMS)]

    @classmethod
    def _read_as_json(cls, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        # Nearly always every item is good: then all are read in one go, for a fraction of the price.
        if type(value) is dict and value.keys() == {"items"} and isinstance(value["items"], list):
            with suppress(ValidationError, PydanticSerializationError, UnicodeError):
                value = Read(items=_whole(cls).validate_json(to_json(value["items"][: MAX_ITEMS + 1])))
        return super()._read_as_json(value, handler)

    @property
    def valid(self) -> list[tuple[int, Item]]:
        """The items that could be read, each with its place in the request."""
        return [(index, item) for index, item in enumerate(self.items) if not isinstance(item, Invalid)]

    def answer(self, refused: Mapping[int, Problem] | None = None) -> BulkAnswer:
        """The answer, given which of the valid items the service refused, by their index."""
        problems = {
            index: item.problem for index, item in enumerate(self.items) if isinstance(item, Invalid)
        } | dict(refused or {})
        return BulkAnswer(
            accepted=len(self.items) - len(problems),
            refused=[Refused(index=index, problem=problems[index].document()) for index in sorted(problems)],
        )


@cache
def _whole(bulk: type[Bulk[Any]]) -> TypeAdapter[list[Any]]:
    """Reads the items of such a body where all of them are good."""
    (item,) = bulk.__pydantic_generic_metadata__["args"]
    return TypeAdapter(list[item])  # type: ignore[valid-type]
