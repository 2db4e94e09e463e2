"""One kind of thing that can be imported: its columns are the fields of what the bulk route takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from pydantic import BaseModel

from shared.imports.columns import INNER, Column, columns_of
from shared.imports.forms import Form


def _nothing(_text: str) -> str | None:
    """The default of `forbidden`: any text may be there."""
    return None


@dataclass(frozen=True, slots=True)
class LineResults:
    """What a route of NDJSON says of a line that it took: `usual`, or other things that are counted."""

    usual: str
    taken: frozenset[str]


@dataclass(frozen=True)
class Kind:
    """What a file holds, and the bulk route that takes it."""

    name: str
    item: type[BaseModel]
    """One item of the bulk route's body: each of its fields is a column, one of a part of it `part.field`."""
    service: str
    """Its address: RECARGA_<SERVICE>_URL, or `url`."""
    url: str
    path: str
    unique: tuple[tuple[str, ...], ...]
    """Columns that together name one thing: two lines of one file with the same are never both sent."""
    in_flight: int = 4
    """Requests at once; 1 where a line may build upon the lines before it."""
    not_yet: frozenset[str] = frozenset()
    """Types of problems (results of lines) that pass by themselves: the item is sent again for a while."""
    lines: LineResults | None = None
    """Where the route takes NDJSON and answers line by line; None: it takes a JSON body of items."""
    forbidden: Callable[[str], str | None] = _nothing
    """Says why a text may stand in no column at all. The line is refused, and nothing of it is ever shown."""

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """By name, in the order of the body's fields."""
        return MappingProxyType(columns_of(self.item.model_json_schema()))

    @cached_property
    def has_parts(self) -> bool:
        """Whether some columns are fields of a part of the body."""
        return any(INNER in name for name in self.columns)

    @cached_property
    def forms(self) -> Mapping[str, Form]:
        """The columns that hold anything but plain text."""
        return {name: column.form for name, column in self.columns.items() if column.form is not None}

    @cached_property
    def keeps_secrets(self) -> bool:
        """Whether a line may be shown only without some of its columns."""
        return self.forbidden is not _nothing or any(column.secret for column in self.columns.values())
