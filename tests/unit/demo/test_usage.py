"""The day's usage records: a file in the documented form, that uses what the story says."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.demo.story import Subscriber, cast
from deploy.local.demo.usage_day import COLUMNS, day_rows, write_day
from deploy.local.demo.usage_file import read_records, survey
from deploy.local.errors import LocalStackError
from services.usage.usage_csv import COLUMNS as DOCUMENTED
from shared.contracts.usage_records import UsageRecorded

DAY = datetime(2026, 11, 22, tzinfo=UTC)
HEADER = "source,record_id,iccid,session_id,imei,bytes_up,bytes_down,country,started_at,ended_at\n"
GOOD = "cubacel,r-1,8953010000000000018,,,1,2,CU,2026-11-23T08:00:00Z,2026-11-23T08:15:00Z\n"


@pytest.fixture(scope="module")
def people() -> list[Subscriber]:
    return cast()


@pytest.fixture(scope="module")
def file(people: list[Subscriber], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("usage") / "usage.csv"
    write_day(day_rows(people, DAY), path)
    return path


def records(path: Path) -> list[UsageRecorded]:
    read = list(read_records(path))
    good = [line for line in read if isinstance(line, UsageRecorded)]
    assert len(good) == len(read)
    return good


def test_the_file_has_the_documented_columns_and_no_bad_line(file: Path) -> None:
    assert COLUMNS == DOCUMENTED
    assert len(records(file)) > 4_000


def test_everyone_uses_exactly_what_the_story_says(file: Path, people: list[Subscriber]) -> None:
    found = survey(file).use

    assert {iccid: use.used_bytes for iccid, use in found.items()} == {
        person.iccid: person.used_bytes for person in people
    }


def test_every_record_lies_within_the_day(file: Path) -> None:
    for record in records(file):
        assert DAY <= record.started_at < record.ended_at <= DAY + timedelta(days=1, hours=1)


def test_records_come_in_the_order_in_which_they_end_but_for_those_delivered_again(file: Path) -> None:
    contents = survey(file)
    ends = [record.ended_at for record in records(file)][: contents.distinct]

    assert ends == sorted(ends)


def test_some_records_are_delivered_twice(file: Path) -> None:
    contents = survey(file)
    repeated = Counter(record.record_id for record in records(file))

    assert contents.again == sum(number - 1 for number in repeated.values()) > 0
    assert contents.lines == contents.distinct + contents.again


def test_the_same_day_is_the_same_file(people: list[Subscriber]) -> None:
    assert day_rows(people, DAY) == day_rows(people, DAY)


def test_a_record_delivered_again_is_not_used_again(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(HEADER + GOOD + GOOD)

    contents = survey(path)

    assert contents.use["8953010000000000018"].used_bytes == 3
    assert (contents.lines, contents.distinct) == (2, 1)


def test_bad_lines_are_counted_and_the_first_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(HEADER + GOOD + "nonsense\n" * 9)

    contents = survey(path)

    assert contents.bad_lines == 9
    assert [bad.line for bad in contents.bad] == [3, 4, 5, 6, 7]
    assert contents.lines == 1


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", HEADER, HEADER + "nonsense\n"])
def test_a_file_without_any_usage_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(text)

    with pytest.raises(LocalStackError, match="no usage record"):
        survey(path)


def test_a_file_that_cannot_be_read_is_refused_with_a_reason(tmp_path: Path) -> None:
    binary = tmp_path / "usage.csv"
    binary.write_bytes(b"\xff\xfe\x00garbage")

    for path in (tmp_path / "missing.csv", tmp_path, binary):
        with pytest.raises(LocalStackError, match="cannot be read"):
            survey(path)
