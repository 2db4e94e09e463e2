"""The books as they are read: every service's tables in a real PostgreSQL, the journals of a real sandbox."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from urllib.request import Request, urlopen

import asyncpg
import orjson
import pytest

from deploy.local.books import compare, read_books, underway, wait_until_quiet
from deploy.local.books.journals import read_psp
from deploy.local.books.quiet import NotQuiet
from deploy.local.books.reading import Sources
from deploy.local.demo.story import iccid
from deploy.local.errors import LocalStackError
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from tests.conftest import UNSAFE_AND_FAST, readable_folder


@pytest.fixture(scope="module")
async def sources() -> AsyncIterator[Sources]:
    """Every service's schema, migrated and empty, beside a sandbox that has done nothing."""
    home = readable_folder()
    async with Stack(
        home,
        ports=Ports.free(),
        components={"postgres", "sandbox"},
        postgres_settings=UNSAFE_AND_FAST,
        on_signals=False,
    ) as stack:
        yield Sources(stack.superuser_url, stack.psp_url, stack.carrier_url)
    shutil.rmtree(home)


async def post(url: str, body: dict[str, object]) -> None:
    def send() -> None:
        with urlopen(Request(url, orjson.dumps(body), method="POST"), timeout=10) as answer:  # noqa: S310 - ours
            assert answer.status < 300

    await asyncio.to_thread(send)


async def capture(sources: Sources, renewal_id: str) -> None:
    await post(
        f"{sources.psp_url}/v1/payment_intents",
        {
            "amount_minor": 900,
            "currency": "USD",
            "payment_method": "tok_ok",
            "metadata": {"renewal_id": renewal_id},
            "confirm": True,
        },
    )


async def test_books_in_which_nothing_happened_are_balanced_and_quiet(sources: Sources) -> None:
    await wait_until_quiet(sources.database_url, 5)

    comparison = compare(await read_books(sources))

    assert comparison.is_balanced
    assert comparison.renewals == 0


async def test_what_only_the_gateways_know_of_is_found(sources: Sources) -> None:
    renewal_id = str(uuid.uuid4())
    await capture(sources, renewal_id)
    await post(
        f"{sources.carrier_url}/v1/topups",
        {
            "iccid": iccid(1),
            "reference": renewal_id,
            "data_bytes": 10,
            "validity_seconds": 60,
            "stacking": "extend",
            "product_code": "CU-1",
        },
    )

    found = [one for one in compare(await read_books(sources)).discrepancies if one.renewal_id == renewal_id]

    assert {one.kind for one in found} == {
        "a renewal that nobody began",
        "captures differ between PSP and payment",
        "more money kept than may be",
        "top-ups differ between carrier and provisioning",
    }


async def test_a_journal_longer_than_a_page_is_read_whole(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.books.journals.PAGE_LINES", 3)
    ids = {str(uuid.uuid4()) for _ in range(10)}
    for renewal_id in ids:
        await capture(sources, renewal_id)

    effects = await asyncio.to_thread(read_psp, sources.psp_url)

    assert ids <= {effect.renewal_id for effect in effects}
    assert len({effect.id for effect in effects}) == len(effects)


async def test_a_journal_that_cannot_be_asked_is_told_in_a_sentence(sources: Sources) -> None:
    port = Ports.free().of("psp")

    with pytest.raises(LocalStackError, match="cannot be read"):
        await read_books(sources._replace(psp_url=f"http://127.0.0.1:{port}"))


async def test_an_event_that_is_not_published_is_not_quiet(sources: Sources) -> None:
    connection = await asyncpg.connect(sources.database_url)
    try:
        await connection.execute(
            """insert into renewal.outbox
            (events, event_ids, topics, keys, types, subjects, traceparents, payloads)
            values (1, $1, '{renewals.v1}', '{sub-1}', '{RenewalCompleted}', '{r-1}', '{null}', '{"{}"}')""",
            [uuid.uuid4()],
        )

        left = await underway(connection)
        with pytest.raises(NotQuiet, match=r"events that are not published \(1\)"):
            await wait_until_quiet(sources.database_url, 0)
    finally:
        await connection.execute("delete from renewal.outbox")
        await connection.close()

    assert left == {"events that are not published": 1}
