"""Two transactions about the same row at the same time: the second begins while the first holds its locks."""

import asyncio
from collections.abc import Awaitable, Callable

from shared.contracts.message import Message
from shared.messaging.transaction import Transaction
from tests.integration.wired import Wired

DEADLINE_SECONDS = 20
_WAITING = "select count(*) from pg_stat_activity where usename = current_user and wait_event_type = 'Lock'"
Work = Callable[[Transaction], Awaitable[object]]


def consuming(service: Wired, name: str, *messages: Message) -> Work:
    """What the consumer of that name does with a batch."""
    batch = [service.received(message) for message in messages]
    return lambda transaction: service.consumer(name).handle(transaction, batch)  # type: ignore[arg-type, call-arg]


async def at_once(service: Wired, first: Work, second: Work) -> None:
    """Do `first`, and leave its transaction open until `second` waits for it or is over without that."""
    done, meeting = asyncio.Event(), asyncio.Event()

    async def held_open(transaction: Transaction) -> None:
        await first(transaction)
        done.set()
        await meeting.wait()

    async def following(transaction: Transaction) -> None:
        await second(transaction)

    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(service.transactions.run(held_open))
        await done.wait()
        follower = tasks.create_task(service.transactions.run(following))
        while not follower.done() and not await service.pool.fetchval(_WAITING):
            await asyncio.sleep(0.01)
        meeting.set()
