"""The columns of a file, from the schema of the body that its lines become."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.imports.forms import Form, form_of

INNER: Final = "."
"""Between the name of a part of the body and the name of a field in it: `address.street`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file. `form` None is text; a `secret` one is never shown."""

    form: Form | None
    required: bool
    secret: bool


def columns_of(schema: Mapping[str, Any]) -> dict[str, Column]:
    """By name, in the order of the fields in the JSON schema of a body.

    Raises:
        TypeError: there is something in it that no CSV field can hold.
    """
    return dict(_columns(schema, schema.get("$defs", {}), "", required=True))


def _columns(
    schema: Mapping[str, Any], defined: Mapping[str, Any], prefix: str, *, required: bool
) -> Iterator[tuple[str, Column]]:
    for name, field in schema["properties"].items():
        options = _options(field, defined)
        is_required = required and name in schema.get("required", ())
        parts = [option for option in options if "properties" in option]
        if parts:
            yield from _columns(parts[0], defined, f"{prefix}{name}{INNER}", required=is_required)
        else:
            is_secret = any(option.get("writeOnly") for option in options)
            yield prefix + name, Column(form_of(options), is_required, is_secret)


def _options(field: Mapping[str, Any], defined: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What the field may be, one of several or just one."""
    return [
        defined[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
        for option in (field, *field.get("anyOf", ()))
    ]


def inner(item: Mapping[str, object]) -> dict[str, object]:
    """The item with the fields of its parts where they belong: `address.street` in `address`."""
    whole: dict[str, object] = {}
    for name, value in item.items():
        place = whole
        *parts, last = name.split(INNER)
        for part in parts:
            place = place.setdefault(part, {})  # type: ignore[assignment]
        place[last] = value
    return whole


def named(path: Sequence[object], columns: Mapping[str, Column]) -> str:
    """The column at that place in a body; empty where the place is no column."""
    for length in range(len(path), 0, -1):
        name = INNER.join(map(str, path[:length]))
        if name in columns:
            return name
    return ""
