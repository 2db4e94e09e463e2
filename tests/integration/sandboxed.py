"""What tests share of services whose calls go to a real sandbox: its journal, what is bought, and waiting."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import utc_now
from shared.contracts.message import Grant
from tests.integration.sandbox.conftest import Server

DEADLINE_SECONDS = 30.0
NEVER_BROKEN = {"breaker_failures": 1_000_000, "breaker_sample": 1_000_000}
"""Limits of a gateway whose faults are of single calls: a breaker would take them for an outage."""
GRANT = Grant(data_bytes=2**30, validity_seconds=86_400, product_code="cu1")


@dataclass(frozen=True, slots=True)
class Journal:
    """One of the sandbox's servers, and what its journal says; `named_by` is the column with the renewal."""

    server: Server
    named_by: str

    def effects_of(self, renewal_id: object) -> list[str]:
        """What really happened for a renewal, in order."""
        return [row["effect"] for row in self.rows("effect") if row[self.named_by] == str(renewal_id)]

    def requests_of(self, renewal_id: object, operation: str) -> list[dict[str, Any]]:
        """The requests of that kind for a renewal, in order."""
        return [
            row
            for row in self.rows("request")
            if row[self.named_by] == str(renewal_id) and row["operation"] == operation
        ]

    def fault(self, operation: str, behaviour: str, **more: object) -> None:
        """From now on that operation behaves like that: the only fault there is."""
        rules = [{"operation": operation, "behaviour": behaviour, **more}]
        assert self.server.call("PUT", "/faults", rules).status == 200

    def well(self) -> None:
        """From now on nothing is amiss."""
        assert self.server.call("DELETE", "/faults").status == 200

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """All its rows of that kind: request or effect."""
        rows: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self.server.call("GET", f"/journal?kind={kind}&after={after}").document
            rows += page["rows"]
            if not page["more"]:
                return rows
            after = page["next_after"]


async def until(look: Callable[[], Any], seconds: float = DEADLINE_SECONDS) -> Any:
    """What `look` (sync or async) finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def act_before(*, late: bool = False) -> datetime:
    """In a minute; late: a second ago."""
    return utc_now() + timedelta(seconds=-1 if late else 60)
