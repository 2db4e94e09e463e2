"""Reading the fields of a request strictly: a wrong one is refused with its name and what was expected."""

from __future__ import annotations

import re
from typing import Final

from .exchange import Document, Refusal

LARGEST_INTEGER: Final = 2**53
TEXT_LIMIT: Final = 255
METADATA_LIMIT: Final = 50

_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII).fullmatch
_ICCID: Final = re.compile(r"[0-9]{18,22}", re.ASCII).fullmatch


def invalid(name: str, expected: str) -> Refusal:
    return Refusal(400, "parameter_invalid", f"`{name}` must be {expected}.", param=name)


def integer(document: Document, name: str, *, least: int = 1, most: int = LARGEST_INTEGER) -> int:
    value = document.get(name)
    # bool is an int to Python, and 1.0 equals 1: neither is an amount.
    if type(value) is not int or not least <= value <= most:
        raise invalid(name, f"an integer from {least} to {most}")
    return value


def number(document: Document, name: str, *, default: float | None, most: float) -> float | None:
    value = document.get(name)
    if value is None:
        return default
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise invalid(name, f"a number from 0 to {most:g}")
    return float(value)


def text(document: Document, name: str) -> str:
    value = document.get(name)
    if type(value) is not str or not value or len(value) > TEXT_LIMIT:
        raise invalid(name, f"a text of 1 to {TEXT_LIMIT} characters")
    return value


def optional_text(document: Document, name: str) -> str | None:
    return None if document.get(name) is None else text(document, name)


def flag(document: Document, name: str, *, default: bool = False) -> bool:
    value = document.get(name, default)
    if type(value) is not bool:
        raise invalid(name, "true or false")
    return value


def currency(document: Document) -> str:
    value = document.get("currency")
    if type(value) is not str or not _CURRENCY(value):
        raise invalid("currency", "three capital letters (ISO 4217)")
    return value


def iccid(document: Document) -> str:
    value = document.get("iccid")
    if type(value) is not str or not _ICCID(value):
        raise invalid("iccid", "18 to 22 digits")
    return value


def choice(document: Document, name: str, allowed: tuple[str, ...]) -> str:
    value = document.get(name)
    if type(value) is not str or value not in allowed:
        raise invalid(name, "one of " + ", ".join(allowed))
    return value


def metadata(document: Document) -> dict[str, str]:
    value = document.get("metadata")
    if value is None:
        return {}
    if type(value) is not dict or len(value) > METADATA_LIMIT:
        raise invalid("metadata", f"an object of at most {METADATA_LIMIT} texts")
    for held in value.values():
        if type(held) is not str or len(held) > TEXT_LIMIT:
            raise invalid("metadata", f"an object whose values are texts of at most {TEXT_LIMIT} characters")
    return value


def page_limit(query: dict[str, str], *, default: int = 10, most: int = 100) -> int:
    return query_integer(query, "limit", default=default, least=1, most=most)


def query_integer(query: dict[str, str], name: str, *, default: int, least: int, most: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 17 and least <= int(value) <= most):
        raise invalid(name, f"an integer from {least} to {most}")
    return int(value)
