"""The rows that an older version left: migrated, served, gone on with; and its messages come once more."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy.local.ports import SERVICES, Ports
from tests.acceptance.conftest import IMPATIENT
from tests.acceptance.office import NotInTime, Office
from tests.acceptance.subscribers import Subscriber
from tests.conftest import UNSAFE_AND_FAST, readable_folder
from tests.rolling.conftest import Opened
from tests.rolling.record import operations_of
from tests.rolling.recorded import messages, operations, tables, versions
from tests.rolling.stacks import OnOldRows

# Operators were named by a header anybody could write: that had to end before anybody relied on it.
WITHDRAWN = {
    "renewal POST /v1/renewals/{renewal_id}/operator/act",
    "renewal POST /v1/renewals/{renewal_id}/operator/release",
    "renewal POST /v1/renewals/{renewal_id}/operator/resolve",
}


GOES_ON = {
    "requested": "completed",
    "priced": "completed",
    "captured": "completed",
    "awaiting_customer": "cancelled",
    "cancelling_payment": "cancelled",
    "cancelling_top_up": "refunded",
    "refunding": "refunded",
    "parked": "parked",
}
"""How each that was open ends: whom the payer keeps waiting is called off, a person's case stays one."""
GOING_ON_SECONDS = 120.0
"""What a gateway was asked before is asked about only after a pause, longer with every question."""


@pytest.mark.parametrize("version", versions())
async def test_an_older_version_s_renewals_stand_and_go_on(version: str, office_at: Opened) -> None:
    home = readable_folder()
    try:
        async with office_at(_stack(version, home)) as office:
            before = {row["renewal_id"]: row for row in tables(version, "renewal").of("renewals")}
            ended = {one: row["state"] for one, row in before.items() if row["closed_at"] is not None}
            assert len(ended) > 30
            opened = {one: row["state"] for one, row in before.items() if row["closed_at"] is None}
            assert set(opened.values()) == GOES_ON.keys()

            await _say_again(office, version)
            await _call_off(office, opened, "awaiting_customer")
            awaited = {one: GOES_ON[state] for one, state in opened.items()}
            await _until_gone_on(office, awaited)
            await _renew_an_old_subscription(office, before)

            after = {str(row["renewal_id"]): row["state"] for row in await _renewals(office)}
            assert {one: after[one] for one in ended} == ended
            assert await _unread(office) == []
            assert await _withdrawn(office, version) <= WITHDRAWN
            assert await _shown(office, next(iter(ended))) == ended[next(iter(ended))]
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _stack(version: str, home: Path) -> OnOldRows:
    return OnOldRows(
        version,
        home,
        ports=Ports.free(),
        postgres_settings=UNSAFE_AND_FAST,
        service_environment=IMPATIENT,
        on_signals=False,
    )


async def _say_again(office: Office, version: str) -> None:
    """All of the older version's messages, as a replay from the beginning brings them."""
    await office.producer.send(
        (kept.topic, kept.key, kept.value, list(kept.headers)) for kept in messages(version)
    )


async def _renewals(office: Office) -> list[Any]:
    rows: list[Any] = await office.database.fetch("select renewal_id, state, closed_at from renewal.renewals")
    return rows


async def _call_off(office: Office, opened: dict[str, str], state: str) -> None:
    for renewal_id in (one for one, left_in in opened.items() if left_in == state):
        await office.ok("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")


async def _until_gone_on(office: Office, awaited: dict[str, str]) -> None:
    """Raises NotInTime, which tells the states that the renewals are in instead."""
    found: dict[str, str] = {}

    async def gone_on() -> bool:
        states = {str(row["renewal_id"]): row["state"] for row in await _renewals(office)}
        found.update((one, states[one]) for one in awaited)
        return found == awaited

    try:
        await office.until(gone_on, "what was under way has gone on", GOING_ON_SECONDS)
    except NotInTime as late:
        raise NotInTime(f"{late}: {sorted(found.items() - awaited.items())}") from late


async def _renew_an_old_subscription(office: Office, before: dict[str, Any]) -> None:
    completed = next(row for row in before.values() if row["state"] == "completed")
    number = int(completed["subscription_id"].removeprefix("acc-"))
    renewal_id = await office.begun(Subscriber(number))
    await office.in_state(renewal_id, "completed")


async def _unread(office: Office) -> list[str]:
    """Events that nobody knows, keys that were set aside, dead letters."""
    found = [f"orphan {row}" for row in await office.database.fetch("select * from renewal.orphans")]
    for service in SERVICES:
        aside = await office.database.fetch(f"select * from {service}.set_aside")  # noqa: S608 - names of ours
        found += [f"{service} has set aside {row}" for row in aside]
        letters = await office.metric(service, "recarga_dead_letters_total")
        found += [f"{service} has written {letters:g} dead letters"] if letters else []
    return found


async def _withdrawn(office: Office, version: str) -> set[str]:
    """What the older version's HTTP APIs offered and ours no longer do."""
    return {
        f"{service} {operation}"
        for service, offered in operations(version).items()
        for operation in set(offered) - set(await operations_of(office, service))
    }


async def _shown(office: Office, renewal_id: str) -> str:
    return str((await office.renewal(renewal_id))["state"])
