"""Many things in one request. Each is judged by itself: what is wrong with one does not stop the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from shared.http.body import Answer, Body
from shared.http.problems import Problem, invalid_request

MAX_ITEMS = 1000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Invalid:
    """Stands where an item could not be read."""

    problem: Problem


def _by_itself(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, Invalid):
        return value
    try:
        return read(value)
    except ValidationError as error:
        return Invalid(
            invalid_request(error.errors(include_url=False, include_context=False, include_input=False))
        )


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

    items: Annotated[
        list[Annotated[Item, WrapValidator(_by_itself)]], Field(min_length=1, max_length=MAX_ITEMS)
    ]

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
