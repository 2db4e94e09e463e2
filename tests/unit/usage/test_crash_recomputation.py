"""The recomputation that judges crashes is itself right: repeats count once, bytes fill buckets in order."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from tests.crash_usage.raw_file import COLUMNS, Person, draw
from tests.crash_usage.recomputation import expected, used_bytes

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PEOPLE = [Person(f"89530100000000000{number:02d}", "490154203237518") for number in range(30)]


def test_a_record_that_is_there_twice_is_used_once(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for source, name, size in (("a", "1", 5), ("a", "2", 7), ("a", "1", 5), ("b", "1", 11)):
            lines.writerow([source, name, "8953", "", "", 1, size, "", "", ""])
    assert used_bytes(path) == ({"8953": 5 + 7 + 11 + 3}, 3)


def test_bytes_fill_buckets_in_order_and_a_bucket_is_bought_at_the_threshold() -> None:
    assert expected(0, 100, 50, 10).remaining_bytes == (100,)
    assert expected(89, 100, 50, 10).remaining_bytes == (11,)
    assert expected(90, 100, 50, 10).remaining_bytes == (10, 50)
    assert expected(144, 100, 50, 10).remaining_bytes == (0, 6)
    assert expected(145, 100, 50, 10).remaining_bytes == (0, 5, 50)
    assert expected(420, 100, 50, 10).bought == 7


def test_the_file_repeats_and_disorders_as_much_as_it_should(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    drawn = draw(path, PEOPLE, 10_000, 7, NOW)
    used, distinct = used_bytes(path)
    assert (drawn.lines, drawn.repeated, distinct) == (10_000, 500, 9_500)
    assert 0.04 * 9_500 < drawn.out_of_order < 0.06 * 9_500
    assert len(used) == len(PEOPLE)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    numbers = [int(row["record_id"].removeprefix("r-")) for row in rows]
    assert numbers != sorted(numbers)
    offsets = {row["ended_at"][-6:] for row in rows}
    assert offsets == {"+00:00", "-05:00", "+09:30"}
    assert any(row["bytes_up"] == row["bytes_down"] == "0" for row in rows)
