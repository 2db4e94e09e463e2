"""Who uses the data: people with a small bucket, a carrier of their own, and a rule that buys another."""

from __future__ import annotations

import time
from typing import Any, Final

from tests.acceptance.office import Office
from tests.acceptance.subscribers import Subscriber
from tests.chaos.waiting import until_time
from tests.crash_usage.raw_file import Person

CARRIER: Final = "crash-usage"
OFFERING: Final = "crash-usage-200mb"
FIRST_BYTES: Final = 150_000_000
BOUGHT_BYTES: Final = 200_000_000
THRESHOLD_PERCENT: Final = 10
SETTINGS_SECONDS: Final = 5.5
"""After so long a change of a carrier's settings is known to every process."""


class User(Subscriber):
    """One whose overrun is owed, and whose buckets wait for their turn: so time changes no bucket's total."""

    def subscription(self) -> dict[str, Any]:
        return super().subscription() | {"carrier": CARRIER}

    def bucket(self) -> dict[str, Any]:
        return super().bucket() | {"granted_bytes": FIRST_BYTES, "remaining_bytes": FIRST_BYTES}

    def rule(self) -> dict[str, Any]:
        return super().rule() | {"offering_id": OFFERING}

    @property
    def person(self) -> Person:
        return Person(self.iccid, self.imei)


async def settled(office: Office, number: int) -> list[User]:
    """So many people whom every service knows, and whose carrier every process of usage knows."""
    await office.sell(
        OFFERING, data_bytes=BOUGHT_BYTES, stacking="queue", product_code="CRASH-200MB", carriers=[CARRIER]
    )
    found = await office.http("usage", "GET", f"/v1/carriers/{CARRIER}")
    settings = {
        "counting": "records",
        "overrun": "next_bucket",
        "threshold_percent": THRESHOLD_PERCENT,
        "version": found.body["version"] if found.status == 200 else 0,
    }
    await office.ok("usage", "PUT", f"/v1/carriers/{CARRIER}", settings)
    known_at = time.monotonic() + SETTINGS_SECONDS
    users = [User(office.subscriber().number, has_rule=True) for _ in range(number)]
    await office.seed(users)
    await until_time(known_at)
    return users
