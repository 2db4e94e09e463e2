"""Updates of the happy path stay on their pages: no index is touched before the top-up.

In a database of its own: PostgreSQL's counters come late, and would tell of other tests' updates.
"""

import pytest

from services.payment.settings import Settings
from tests.integration.payment.conftest import Renewal, Subscribe, until
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.wired import Wired

COUNT = 200


@pytest.fixture(scope="module")
def told(database_url: str, sandbox: Sandbox) -> Settings:
    """As it runs in earnest: no lease ends while a batch is under way."""
    return Settings(database_url=database_url, psp_url=f"http://127.0.0.1:{sandbox.psp.port}")


async def test_the_updates_of_the_happy_path_before_the_top_up_are_hot(
    payment: Wired, payer: Subscribe
) -> None:
    first = await payer()
    batch = [first, *(Renewal(first.methods, first.payer_id) for _ in range(COUNT - 1))]
    await payment.consume("commands", *(renewal.priced() for renewal in batch))

    async def counted() -> dict[str, tuple[int, int]] | None:
        found = await updates(payment)
        made = {table: made for table, (made, _) in found.items()}
        enough = made["payments"] >= 2 * COUNT and made["payment_attempts"] >= COUNT
        return found if enough else None

    for table, (made, hot) in (await until(counted)).items():
        assert made == 0 or hot / made > 0.9, (table, made, hot)


async def updates(payment: Wired) -> dict[str, tuple[int, int]]:
    """Updates and how many of them were HOT, by table of this test's schema."""
    rows = await payment.pool.fetch(
        "select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables"
        " where schemaname = current_schema()"
    )
    return {found[0]: (found[1], found[2]) for found in rows}
