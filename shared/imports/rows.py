"""A line as a row, by itself: whatever is wrong with one, it never swallows the next."""

import csv
import re
from collections.abc import Sequence
from typing import Final

from shared.imports.columns import inner
from shared.imports.kinds import Kind
from shared.imports.lines import MAX_LINE_BYTES

WITHHELD: Final = "***"
_COLUMN_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,39}", re.ASCII)


class BadLine(Exception):
    """The line, or one field of it (`column`), is wrong; `why` is a sentence without values."""

    def __init__(self, why: str, column: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.column = column


class BadHeader(Exception):
    """The first line does not name the columns: nothing of the file can be read."""


class ForbiddenText(BadLine):
    """Something that may be nowhere in the file: nothing of the line may be shown."""


def names_of(line: bytes | None, kind: Kind) -> list[str]:
    """The columns that the header names, in its order.

    Raises:
        BadHeader: one is unknown, missing or there twice, or it is no header at all.
    """
    try:
        names = [name.strip() for name in fields_of(line)]
    except BadLine as error:
        raise BadHeader(f"The first line is no header: {error.why}") from None
    if names == [""] or not names:
        raise BadHeader("The file is empty: its first line must name the columns.")
    unknown = [name for name in names if name not in kind.columns]
    missing = [name for name, column in kind.columns.items() if column.required and name not in names]
    twice = {name for name in names if names.count(name) > 1 and name in kind.columns}
    told = []
    if unknown:
        told.append(f"it names {_named(unknown)}, which is no column of {kind.name}")
    if missing:
        told.append(f"{', '.join(missing)} is missing")
    if twice:
        told.append(f"{', '.join(sorted(twice))} is there twice")
    if told:
        columns = ", ".join(
            name if column.required else f"{name} (may be left out)" for name, column in kind.columns.items()
        )
        raise BadHeader(
            f"The first line must name the columns, with a comma between them: {'; '.join(told)}. "
            f"Columns of {kind.name}: {columns}."
        )
    return names


def _named(unknown: Sequence[str]) -> str:
    """Names that may be shown: where a header is missing, the first line holds somebody's data."""
    shown = [name if _COLUMN_NAME.fullmatch(name) else "something else" for name in unknown[:5]]
    return ", ".join(dict.fromkeys(shown))


def fields_of(line: bytes | None) -> list[str]:
    """The fields of one line.

    Raises:
        BadLine: it is too long (None), not UTF-8, or not CSV.
    """
    if line is None:
        raise BadLine(f"The line is longer than {MAX_LINE_BYTES:,} bytes.")
    try:
        text = line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise BadLine("The line is not UTF-8.") from None
    if "\0" in text:
        raise BadLine("The line holds a NUL character.")
    fields = split(text)
    if fields is None:
        raise BadLine("The line is not CSV: a quotation mark or a line break is where none can be.")
    return fields


def split(text: str) -> list[str] | None:
    """The fields of one line of CSV (RFC 4180), given without its end; None where it is none."""
    if '"' not in text and "\r" not in text:
        return text.split(",")
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        return None
    return rows[0] if rows else [""]


def item_of(fields: Sequence[str], names: Sequence[str], kind: Kind) -> dict[str, object]:
    """The line's item as the bulk route takes it. An empty field is a field that is not given.

    Raises:
        ForbiddenText: a field holds what may be nowhere.
        BadLine: the number of fields, or the form of one, is wrong.
    """
    if kind.keeps_secrets:
        for text in fields:
            if why := kind.forbidden(text):
                raise ForbiddenText(why)
    if len(fields) != len(names):
        raise BadLine(f"The line has {len(fields)} fields, the header {len(names)}.")
    item: dict[str, object] = {name: text for name, text in zip(names, fields, strict=True) if text}
    for name, form in kind.forms.items():
        if name in item:
            value = form.read(str(item[name]))
            if value is None:
                raise BadLine(f"It should be {form.wanted}.", name)
            item[name] = value
    return inner(item) if kind.has_parts else item


def shown(line: bytes | None, names: Sequence[str], kind: Kind) -> str:
    """The line as it may be shown: secrets masked, and nothing at all where it is not known what is one."""
    if line is None:
        return ""
    if not kind.keeps_secrets:
        return line.removesuffix(b"\r").decode(errors="replace")
    try:
        fields = fields_of(line)
    except BadLine:
        return WITHHELD
    if len(fields) != len(names) or any(kind.forbidden(text) for text in fields):
        return WITHHELD
    secret = [kind.columns[name].secret for name in names]
    return ",".join(
        WITHHELD if text and hidden else text for text, hidden in zip(fields, secret, strict=True)
    )
