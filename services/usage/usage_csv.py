"""Usage records as CSV (docs/usage-csv.md): pure, line by line, a bad line never stops the rest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from shared.contracts.usage_records import UsageRecorded
from shared.imports.forms import INSTANT, WHOLE
from shared.imports.rows import split

COLUMNS = (
    "source",
    "record_id",
    "iccid",
    "session_id",
    "imei",
    "bytes_up",
    "bytes_down",
    "country",
    "started_at",
    "ended_at",
)
MAX_LINE_CHARACTERS = 2_000

_FORMS = {"bytes_up": WHOLE, "bytes_down": WHOLE, "started_at": INSTANT, "ended_at": INSTANT}


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no usage record: its number in the file, from 1, and a sentence that says why."""

    line: int
    why: str


def read_usage_csv(lines: Iterable[str]) -> Iterator[UsageRecorded | BadLine]:
    """Every line after the header as a record or as what is wrong with it; empty lines are passed over.

    `lines` is an open text file (UTF-8, with or without a byte order mark) or any lines. Without a proper
    header nothing else can be read: the one answer is then a BadLine for line 1.
    """
    numbered = enumerate(lines, start=1)
    header = next(numbered, (1, ""))[1].removeprefix("\ufeff")
    names = split(header.rstrip("\r\n")) or []
    if sorted(names) != sorted(COLUMNS):
        yield BadLine(1, f"The first line must name these columns: {','.join(COLUMNS)}.")
        return
    for number, line in numbered:
        if line.strip():
            yield _read(number, line, names)


def _read(number: int, line: str, names: list[str]) -> UsageRecorded | BadLine:
    if len(line) > MAX_LINE_CHARACTERS:
        return BadLine(number, f"The line is longer than {MAX_LINE_CHARACTERS} characters.")
    fields = split(line.rstrip("\r\n"))
    if fields is None:
        return BadLine(number, "The line is not CSV: a quotation mark is not closed.")
    if len(fields) != len(names):
        return BadLine(number, f"The line has {len(fields)} fields, the header {len(names)}.")
    # An empty field is a field that is not given: whether it may be missing is the contract's to say.
    given = {name: text for name, text in zip(names, fields, strict=True) if text}
    for name, form in _FORMS.items():
        if name in given and form.read(given[name]) is None:
            return BadLine(number, f"{name}: it should be {form.wanted}.")
    try:
        return UsageRecorded.model_validate_strings(given)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return BadLine(
            number, f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}."
        )
