"""How soon renewals flow again: static membership gives who comes back the partitions that it had."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from deploy.local.ports import SERVICES
from deploy.local.stack import PARTITIONS
from shared.messaging.murmur2 import murmur2
from tests.acceptance.office import NotInTime, Office
from tests.acceptance.subscribers import Subscriber
from tests.chaos.schedule import REPLICAS
from tests.chaos.traces import traces

FLOWS_AGAIN_SECONDS = 15.0
OF_EACH_PARTITION = 2


def partition_of(key: str) -> int:
    return (murmur2(key.encode()) & 0x7FFFFFFF) % PARTITIONS


async def one_per_partition(office: Office, *, has_rule: bool) -> list[Subscriber]:
    """Subscribers that every service knows, as many in each partition: none of them is anybody's luck."""
    found: dict[int, Subscriber] = {}
    while len(found) < PARTITIONS:
        one = office.subscriber(has_rule=has_rule)
        # By rule it is the usage that must be read, and that is keyed by the ICCID.
        found.setdefault(partition_of(one.iccid if has_rule else one.subscription_id), one)
    subscribers = list(found.values())
    await office.seed(subscribers)
    return subscribers


async def completed(office: Office, subscribers: Sequence[Subscriber]) -> int:
    number: int = await office.database.fetchval(
        "select count(*) from renewal.renewals"
        " where state = 'completed' and subscription_id = any($1::text[])",
        [one.subscription_id for one in subscribers],
    )
    return number


async def told_of(office: Office, subscribers: Sequence[Subscriber]) -> list[str]:
    """The way of each renewal that is not completed, and who has none."""
    rows = await office.database.fetch(
        "select renewal_id::text, subscription_id, state from renewal.renewals"
        " where subscription_id = any($1::text[])",
        [one.subscription_id for one in subscribers],
    )
    begun = {row["subscription_id"] for row in rows}
    suspects = [row["renewal_id"] for row in rows if row["state"] != "completed"]
    return [
        *(f"no renewal of {one.subscription_id}" for one in subscribers if one.subscription_id not in begun),
        *[line async for line in traces(office.database, suspects)],
    ]


async def seconds_until_they_flow(office: Office, service: str, killed: int, look: int) -> float:
    """From when the killed ones are up again until renewals of every partition are completed.

    How long a start takes is left out: it is a second of CPU, that other tests beside this one share. To be
    up is to answer, and not to be given any partition: getting them back is in what is measured.
    """
    asking = await one_per_partition(office, has_rule=False)
    by_rule = await one_per_partition(office, has_rule=True)
    processes = [f"{service}-{number}" for number in range(1, killed + 1)]
    await asyncio.gather(*(office.stack.kill(process) for process in processes))
    restarting = asyncio.gather(*(office.stack.restart(process) for process in processes))
    await office.say(
        *(one.request(f"after-{service}-{killed}-{look}") for one in asking),
        *(record for one in by_rule for record in (one.use("first"), one.use("second"))),
    )

    async def all_completed() -> bool:
        return await completed(office, [*asking, *by_rule]) == 2 * PARTITIONS

    await restarting
    up = time.monotonic()
    try:
        await office.until(all_completed, "renewals of every partition are completed")
    except NotInTime:
        print(*await told_of(office, [*asking, *by_rule]), sep="\n")
        raise
    seconds = time.monotonic() - up
    print(f"{service}: renewals of every partition flow {seconds:.1f} s after its restart")
    return seconds


@pytest.mark.parametrize("killed", [1, REPLICAS], ids=["one", "all"])
@pytest.mark.parametrize("service", SERVICES)
async def test_renewals_flow_again_soon_after_a_killed_service_is_started(
    office: Office, service: str, killed: int
) -> None:
    """1 to 2 s where nothing else runs; a second look, as other tests share the two cores with this one."""
    seconds = await seconds_until_they_flow(office, service, killed, 1)
    if seconds >= FLOWS_AGAIN_SECONDS:
        seconds = await seconds_until_they_flow(office, service, killed, 2)
    assert seconds < FLOWS_AGAIN_SECONDS, f"{service}: {seconds:.1f} s after its restart"
