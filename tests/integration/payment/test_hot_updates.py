"""Updates of the happy path stay on their pages, and all but one of them off the indexes.

In a database of its own: PostgreSQL's counters come late, and would tell of other tests' updates.
"""

import pytest

from services.payment.settings import Settings
from tests.integration.payment.conftest import Renewal, Subscribe
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import until
from tests.integration.wired import Wired

COUNT = 200
Updates = dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox) -> Settings:
    """As it runs in earnest: no lease ends while a batch is under way."""
    return Settings(database_url=database_url, psp_url=f"http://127.0.0.1:{sandbox.psp.port}")


async def test_of_the_three_updates_of_the_happy_path_only_the_capture_touches_an_index(
    payment: Wired, payer: Subscribe
) -> None:
    first = await payer()
    batch = [first, *(Renewal(first.methods, first.payer_id) for _ in range(COUNT - 1))]
    await payment.consume("commands", *(renewal.priced() for renewal in batch))
    # The PSP's object, and the capture.
    found = await until(lambda: counted(payment, payments=2 * COUNT, payment_attempts=COUNT))
    assert hot(found, "payments") >= 0.9 * COUNT
    assert hot(found, "payment_attempts") >= 0.9 * COUNT

    await payment.consume("top-ups", *(renewal.applied() for renewal in batch))
    found = await until(lambda: counted(payment, payments=3 * COUNT))
    assert hot(found, "payments") >= 0.9 * 2 * COUNT


async def counted(payment: Wired, **least: int) -> Updates | None:
    """The updates by table, once there are at least so many."""
    found = await updates(payment)
    return found if all(found[table][0] >= number for table, number in least.items()) else None


def hot(found: Updates, table: str) -> int:
    return found[table][1]


async def updates(payment: Wired) -> Updates:
    """Updates and how many of them were HOT, by table of this test's schema."""
    rows = await payment.pool.fetch(
        "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables"
        " where schemaname = current_schema()"
    )
    return {found[0]: (found[1], found[2]) for found in rows}
