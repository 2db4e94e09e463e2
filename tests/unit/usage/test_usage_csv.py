"""Usage records as CSV: good lines count, bad ones are named, nothing stops the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.home import REPOSITORY
from services.usage.usage_csv import COLUMNS, BadLine, read_usage_csv
from shared.contracts.usage_records import UsageRecorded

HEADER = ",".join(COLUMNS)
GOOD = (
    "cubacel,r-1,8953010000000000018,s-1,490154203237518,10,20,CU,2026-11-23T08:00:00Z,2026-11-23T08:15:00Z"
)


def read(*lines: str) -> list[UsageRecorded | BadLine]:
    return list(read_usage_csv(lines))


def test_a_line_is_a_usage_record() -> None:
    (record,) = read(HEADER, GOOD)
    assert isinstance(record, UsageRecorded)
    assert (record.source, record.record_id, record.bytes_up, record.bytes_down) == ("cubacel", "r-1", 10, 20)
    assert (record.ended_at - record.started_at).total_seconds() == 900


def test_optional_fields_may_be_empty_and_columns_in_any_order() -> None:
    names = list(reversed(COLUMNS))
    values = dict(zip(COLUMNS, GOOD.split(","), strict=True)) | {"session_id": "", "imei": "", "country": ""}
    (record,) = read(",".join(names), ",".join(values[name] for name in names))
    assert isinstance(record, UsageRecorded)
    assert (record.session_id, record.imei, record.country) == (None, None, None)


def test_byte_order_mark_carriage_returns_quotes_and_empty_lines_are_read() -> None:
    lines = "\ufeff" + HEADER + "\r\n\r\n" + GOOD.replace("r-1", '"r-1"') + "\r\n"
    assert [type(each) for each in read_usage_csv(lines.splitlines(keepends=True))] == [UsageRecorded]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("8953010000000000018", "8953010000000000019", "iccid: the last digit of the ICCID does not match"),
        ("490154203237518", "490154203237519", "imei"),
        (",10,", ",-10,", "bytes_up: it should be a whole number"),
        (",10,", ",1_0,", "bytes_up: it should be a whole number"),
        (",10,", ",1.0,", "bytes_up: it should be a whole number"),
        (",10,", ",,", "bytes_up: Field required"),
        (",10,", ",9999999999999999999,", "bytes_up"),
        ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00", "started_at: it should be an instant"),
        ("2026-11-23T08:00:00Z", "1700000000", "started_at: it should be an instant"),
        ("2026-11-23T08:00:00Z", "2026-13-23T08:00:00Z", "started_at"),
        (",CU,", ",cu,", "country"),
        ("cubacel", "", "source: Field required"),
        ("cubacel", "a b", "source"),
        (",CU", "", "9 fields"),
        ("r-1", '"r-1', "not CSV"),
        ("r-1", "r" * 3000, "longer than"),
    ],
)
def test_a_bad_line_says_what_is_wrong_and_stops_nothing(old: str, new: str, words: str) -> None:
    first, bad, last = read(HEADER, GOOD, GOOD.replace(old, new, 1), GOOD)
    assert isinstance(first, UsageRecorded)
    assert isinstance(last, UsageRecorded)
    assert isinstance(bad, BadLine)
    assert bad.line == 3
    assert words in bad.why


@pytest.mark.parametrize("header", ["", GOOD, HEADER + ",more", HEADER.replace("iccid,", "")])
def test_without_its_header_a_file_is_one_bad_line(header: str) -> None:
    (bad,) = read(header, GOOD, GOOD)
    assert isinstance(bad, BadLine)
    assert bad.line == 1
    assert "columns" in bad.why


def test_the_documented_example_is_read() -> None:
    page = (REPOSITORY / "docs" / "usage-csv.md").read_text(encoding="utf-8")
    example = page.split("```csv\n")[1].split("```")[0]
    assert [type(each) for each in read_usage_csv(example.splitlines())] == [UsageRecorded, UsageRecorded]


@given(st.lists(st.text(max_size=80), max_size=5))
def test_no_text_breaks_the_reader(lines: list[str]) -> None:
    for each in read_usage_csv([HEADER, *lines, GOOD]):
        assert isinstance(each, UsageRecorded | BadLine)
    assert isinstance(each, UsageRecorded)
