"""docs/usage-csv.md and docs/usage-records.md tell what the code does: columns, results, bounds."""

import re
from typing import get_args

from deploy.local.home import REPOSITORY
from services.usage.domain.arrivals import TAKEN
from services.usage.domain.records import REASONS
from services.usage.records.answers import DETAILS, LineResult
from services.usage.records.imports import USAGE
from services.usage.records.lines import MAX_LINE_BYTES, MAX_LINES
from services.usage.settings import Settings
from shared.imports.reading import Reader
from shared.runner import MAX_BODY_BYTES


def page(name: str) -> str:
    return (REPOSITORY / "docs" / name).read_text(encoding="utf-8")


def test_every_column_of_a_file_is_told_and_whether_it_is_required() -> None:
    told = {
        name: required == "yes"
        for names, required in re.findall(r"^\| (`[^|]+`) \| (yes|no) \|", page("usage-csv.md"), re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", names)
    }
    assert told == {name: column.required for name, column in USAGE.columns.items()}


def test_the_example_is_taken_by_the_import() -> None:
    [example] = re.findall(r"^```csv\n(.*?)^```", page("usage-csv.md"), re.MULTILINE | re.DOTALL)
    [chunk] = Reader(USAGE, (line.encode() for line in example.splitlines())).chunks()
    assert (len(chunk.rows), chunk.refusals) == (2, [])


def test_everything_that_may_become_of_a_record_is_told() -> None:
    told = re.findall(r"^\| `(\w+)` \|", page("usage-records.md"), re.MULTILINE)
    assert set(told) == {*TAKEN, *REASONS, "invalid"}


def test_every_result_of_a_line_says_what_to_do() -> None:
    assert {name for group in get_args(LineResult) for name in get_args(group) or (group,)} == set(DETAILS)
    assert {name for name, detail in DETAILS.items() if detail is None} == {"counted", "invalid"}


def test_the_bounds_are_told() -> None:
    text = page("usage-records.md")
    fields = Settings.model_fields
    assert f"{MAX_BODY_BYTES // 2**20} MiB" in text
    assert f"{MAX_LINES:,} lines" in text
    assert f"{MAX_LINE_BYTES:,} bytes" in text
    assert f"`RECARGA_USAGE_BATCH_RECORDS` ({fields['usage_batch_records'].default:,})" in text
    assert f"`RECARGA_USAGE_RECORD_DAYS` days ({fields['usage_record_days'].default}," in text
    assert f"`RECARGA_USAGE_MAX_KEPT_RECORDS` ({fields['usage_max_kept_records'].default:,}," in text
