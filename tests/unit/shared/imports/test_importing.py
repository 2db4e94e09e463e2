"""A whole import against a service over HTTP: what is sent, counted, reported, and taken up again."""

import asyncio
import csv
import gzip
import os
import signal
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from shared.http.problems import Problem
from shared.imports.command import SOME_REFUSED, STOPPED, Wanted, import_file
from shared.imports.kinds import Kind
from shared.imports.lines import Unreadable
from shared.imports.progress import Progress
from shared.imports.resuming import Changed, standing_file
from shared.imports.sending import NotTaken
from tests.unit.shared.imports.conftest import DEADLINE_SECONDS, Post
from tests.unit.shared.imports.parcels import HEADER, PARCELS


@pytest.fixture
def wanted(tmp_path: Path, post: Post) -> Wanted:
    """The import of a file that `write` has yet to write."""
    file = tmp_path / "parcels.csv"
    return Wanted(PARCELS, file, post.url, tmp_path / "report.csv", 5.0, check=False, anew=False)


def write(wanted: Wanted, count: int, *more: str) -> None:
    parcels = [f"p-{number},x{number},7" for number in range(count)]
    wanted.file.write_text("\n".join([HEADER, *parcels, *more]) + "\n", encoding="utf-8")


async def done(wanted: Wanted) -> int:
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await import_file(wanted, Progress(wanted.kind.name))


def reported(wanted: Wanted) -> list[list[str]]:
    with wanted.report.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["line", "column", "why", "given"]
    return rows


async def test_everything_is_taken_and_nothing_left_to_resume(wanted: Wanted, post: Post) -> None:
    write(wanted, 2_500)
    assert await done(wanted) == 0
    assert len(post.parcels) == 2_500
    assert post.requests == 3
    assert reported(wanted) == []
    assert not standing_file(wanted.report).exists()


async def test_gzip_is_taken_as_it_is(wanted: Wanted, post: Post) -> None:
    write(wanted, 10)
    wanted.file.write_bytes(gzip.compress(wanted.file.read_bytes()))
    assert await done(wanted) == 0
    assert len(post.parcels) == 10


async def test_what_is_refused_here_and_there_is_reported_in_the_order_of_lines(
    wanted: Wanted, post: Post
) -> None:
    write(wanted, 1, "p-1,taken,7", "p-2,x,0", "p-3,taken-too,7", "p-4,y,7")
    assert await done(wanted) == SOME_REFUSED
    assert sorted(post.parcels) == ["p-0", "p-4"]
    assert reported(wanted) == [
        ["3", "", "There is such a parcel.", "p-1,taken,7"],
        ["4", "grams", "Input should be greater than or equal to 1.", "p-2,x,0"],
        ["5", "", "There is such a parcel.", "p-3,taken-too,7"],
    ]


async def test_a_check_sends_nothing_and_reports_the_same(wanted: Wanted, post: Post) -> None:
    write(wanted, 3, "p-9,x,0")
    assert await done(replace(wanted, check=True)) == SOME_REFUSED
    assert post.requests == 0
    assert [row[0] for row in reported(wanted)] == ["5"]
    assert not standing_file(wanted.report).exists()


async def test_a_bounded_number_of_requests_is_under_way(wanted: Wanted, post: Post) -> None:
    write(wanted, 12_000)
    post.hold_from = 1
    importing = asyncio.create_task(done(wanted))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while post.under_way < PARCELS.in_flight:
            await asyncio.sleep(0.01)
    post.released.set()
    assert await importing == 0
    assert post.most_at_once == PARCELS.in_flight


async def test_where_order_matters_one_request_follows_the_other(wanted: Wanted, post: Post) -> None:
    write(wanted, 4_000)
    assert await done(replace(wanted, kind=replace(PARCELS, in_flight=1))) == 0
    assert post.most_at_once == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_service_that_is_busy_is_asked_again(wanted: Wanted, post: Post, status: int) -> None:
    write(wanted, 3)
    post.answers = [Problem(status, "busy", headers={"retry-after": "0"})] * 2
    assert await done(wanted) == 0
    assert (len(post.parcels), post.requests) == (3, 3)


async def test_retry_after_is_waited_for(wanted: Wanted, post: Post) -> None:
    write(wanted, 3)
    post.answers = [Problem(503, "busy", detail="Come again.", headers={"retry-after": "60"})]
    with pytest.raises(NotTaken, match=r"post answered 503: Come again\."):
        await done(wanted)
    assert post.requests == 1


async def test_what_the_service_has_not_heard_of_yet_is_sent_again_by_itself(
    wanted: Wanted, post: Post
) -> None:
    write(wanted, 3, "p-9,street,7")
    post.unknown_streets = 2
    assert await done(wanted) == 0
    assert (len(post.parcels), post.requests) == (4, 3)


async def test_what_stays_unknown_is_refused_in_the_end(wanted: Wanted, post: Post) -> None:
    write(wanted, 3, "p-9,street,7")
    post.unknown_streets = 1_000
    assert await done(replace(wanted, patience_seconds=0.0)) == SOME_REFUSED
    assert reported(wanted) == [["5", "", "The street is not known yet.", "p-9,street,7"]]


async def test_a_service_that_is_not_there_ends_the_import(wanted: Wanted) -> None:
    write(wanted, 3)
    with pytest.raises(NotTaken, match=r"post does not answer .* Is it up, at that address\?"):
        await done(replace(wanted, url="http://127.0.0.1:1", patience_seconds=0.1))


async def test_another_service_ends_the_import_at_once(wanted: Wanted, post: Post) -> None:
    write(wanted, 3)
    elsewhere: Kind = replace(PARCELS, path="/v1/letters/bulk")
    with pytest.raises(NotTaken, match="post answered 404"):
        await done(replace(wanted, kind=elsewhere))
    assert post.requests == 0


async def stopped_half_way(wanted: Wanted, post: Post) -> None:
    """Nine thousand parcels and two bad lines, of which a part has been taken when SIGINT comes."""
    write(wanted, 9_000, "p-a,taken,7")
    text = wanted.file.read_text(encoding="utf-8").replace("p-17,x17,7", "p-17,x17,0")
    wanted.file.write_text(text, encoding="utf-8")
    post.hold_from = 2
    importing = asyncio.create_task(done(wanted))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await post.holding.wait()
    os.kill(os.getpid(), signal.SIGINT)
    # The signal comes to its turn before the answers that are held back.
    await asyncio.sleep(0)
    post.released.set()
    assert await importing == STOPPED
    assert 1_000 <= len(post.parcels) < 8_999
    assert standing_file(wanted.report).exists()


async def test_a_stopped_import_finishes_what_is_under_way_and_goes_on_from_there(
    wanted: Wanted, post: Post
) -> None:
    await stopped_half_way(wanted, post)
    taken, post.requests = len(post.parcels), 0
    assert await done(wanted) == SOME_REFUSED
    assert len(post.parcels) == 8_999
    assert post.requests <= (9_002 - taken) // 1_000 + 1
    assert [row[0] for row in reported(wanted)] == ["19", "9002"]
    assert not standing_file(wanted.report).exists()


async def test_lines_that_were_added_or_corrected_later_on_are_seen_when_it_goes_on(
    wanted: Wanted, post: Post
) -> None:
    await stopped_half_way(wanted, post)
    text = wanted.file.read_text(encoding="utf-8").replace("p-a,taken,7", "p-a,free,7\np-0,again,7")
    wanted.file.write_text(text, encoding="utf-8")
    assert await done(wanted) == SOME_REFUSED
    assert "p-a" in post.parcels
    assert reported(wanted)[-1][2] == "Line 2 has the same parcel_id: only that one is taken."


async def test_a_file_that_has_changed_where_it_was_done_is_not_gone_on_with(
    wanted: Wanted, post: Post
) -> None:
    await stopped_half_way(wanted, post)
    text = wanted.file.read_text(encoding="utf-8").replace("p-3,x3,7", "p-3,x3,8")
    wanted.file.write_text(text, encoding="utf-8")
    with pytest.raises(Changed, match="changed within the"):
        await done(wanted)
    assert await done(replace(wanted, anew=True)) == SOME_REFUSED
    assert post.parcels["p-3"] == 8
    assert [row[0] for row in reported(wanted)] == ["19", "9002"]


async def test_a_shorter_file_is_not_gone_on_with(wanted: Wanted, post: Post) -> None:
    await stopped_half_way(wanted, post)
    write(wanted, 5)
    with pytest.raises(Changed, match="changed within the"):
        await done(wanted)


async def test_another_address_or_a_lost_report_is_not_gone_on_with(wanted: Wanted, post: Post) -> None:
    await stopped_half_way(wanted, post)
    with pytest.raises(Changed, match="The import that was begun here is one of parcels to http"):
        await done(replace(wanted, url="http://127.0.0.1:2"))
    wanted.report.unlink()
    with pytest.raises(Changed, match="is not what it was"):
        await done(wanted)
    standing_file(wanted.report).write_bytes(b"{")
    with pytest.raises(Changed, match="cannot be read"):
        await done(wanted)


async def test_a_crash_between_report_and_standing_repeats_no_line_of_the_report(
    wanted: Wanted, post: Post
) -> None:
    await stopped_half_way(wanted, post)
    standing = orjson.loads(standing_file(wanted.report).read_bytes())
    with wanted.report.open("a", encoding="utf-8") as report:
        report.write("9002,,There is such a par")
    assert wanted.report.stat().st_size > standing["report_bytes"]
    assert await done(wanted) == SOME_REFUSED
    assert [row[0] for row in reported(wanted)] == ["19", "9002"]


async def test_a_gzip_file_that_was_cut_is_taken_as_far_as_it_goes(wanted: Wanted, post: Post) -> None:
    write(wanted, 8_000)
    whole = gzip.compress(wanted.file.read_bytes())
    wanted.file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Unreadable, match="broken off or damaged"):
        await done(wanted)
    assert 0 < len(post.parcels) < 8_000
    wanted.file.write_bytes(whole)
    assert await done(wanted) == 0
    assert len(post.parcels) == 8_000
