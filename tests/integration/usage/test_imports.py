"""What is left from before Recarga, from CSV."""

from pathlib import Path

import pytest

from tests.integration.importing import Importing
from tests.integration.usage.conftest import someone
from tests.integration.wired import Wired

HEADER = "subscription_id,bucket_id,granted_bytes,remaining_bytes,expires_at,cycle"


@pytest.fixture
def importing(usage: Wired, tmp_path: Path) -> Importing:
    return Importing("services.usage.imports", usage, tmp_path / "buckets.csv")


async def test_buckets_are_kept_once_and_never_changed(importing: Importing, usage: Wired) -> None:
    one, other = someone()[0], someone()[0]
    good = f"{one},before,1000,400,2030-01-01T00:00:00Z,"
    importing.write(
        HEADER,
        good,
        f"{other},before,1000,1001,2030-01-01T00:00:00Z,",
        f"{other},top-up-1,1000,1,2030-01-01T00:00:00Z,",
        f"{other},before,1000.0,1,2030-01-01T00:00:00Z,",
        f"{other},before,1000,1,tomorrow,",
        f"{other},before,1000,1,2030-01-01T00:00:00Z,3",
    )
    outcome = await importing.run()
    assert outcome.status == 3, outcome.said
    assert [(line, column) for line, column, _ in importing.refused()] == [
        (3, ""),
        (4, "bucket_id"),
        (5, "granted_bytes"),
        (6, "expires_at"),
        (7, ""),
    ]
    kept = await usage.request("GET", f"/v1/subscriptions/{one}/buckets")
    assert kept.body["remaining_bytes"] == 400

    importing.write(HEADER, good)
    assert (await importing.run()).status == 0
    importing.write(HEADER, good.replace(",400,", ",500,"))
    assert (await importing.run()).status == 3
    assert (await usage.request("GET", f"/v1/subscriptions/{one}/buckets")).body == kept.body
