"""How a CSV field becomes a JSON value: taken literally, so that a slip is told and not guessed at."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

SEPARATOR: Final = ";"
"""Between the parts of a field that holds several things."""

# pydantic would also take `1_000`, `1.0` and seconds since 1970: in a file those are slips, not numbers.
_WHOLE: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_SEVERAL_WHOLE: Final = re.compile(r"[0-9]{1,19}(;[0-9]{1,19})*", re.ASCII)
_INSTANT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,18}(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_YES_NO: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Form:
    """`read` gives the JSON value of a field's text; None where it does not have the form `wanted`."""

    wanted: str
    read: Callable[[str], object | None]


WHOLE: Final = Form("a whole number", lambda text: int(text) if _WHOLE.fullmatch(text) else None)
INSTANT: Final = Form(
    "an instant with its offset, as in 2026-11-23T08:15:00Z",
    lambda text: text if _INSTANT.fullmatch(text) else None,
)
YES_NO: Final = Form("true or false", _YES_NO.get)
SEVERAL_WHOLE: Final = Form(
    f"whole numbers with `{SEPARATOR}` between them",
    lambda text: [int(part) for part in text.split(SEPARATOR)] if _SEVERAL_WHOLE.fullmatch(text) else None,
)
SEVERAL: Final = Form(f"one or several, with `{SEPARATOR}` between them", lambda text: text.split(SEPARATOR))


def form_of(options: Iterable[Mapping[str, Any]]) -> Form | None:
    """The form of a field that is one of these JSON schemas; None for plain text.

    Raises:
        TypeError: no CSV field can hold such a thing.
    """
    for option in options:
        match option.get("type"), option.get("format"):
            case "integer", _:
                return WHOLE
            case "boolean", _:
                return YES_NO
            case "array", _:
                return SEVERAL_WHOLE if option.get("items", {}).get("type") == "integer" else SEVERAL
            case "string", "date-time":
                return INSTANT
            case ("object" | "number") as kind, _:
                raise TypeError(f"a CSV field cannot hold a value of the type {kind}")
    return None
