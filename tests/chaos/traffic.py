"""The load: renewals over Kafka, over HTTP and by rules, people in the back office changing things meanwhile.

Everything that was said and acknowledged is kept, so that afterwards it can be looked for.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from http.client import HTTPException
from itertools import count
from random import Random
from typing import Any, Final

from shared.contracts.message import Message
from shared.messaging.errors import PublishFailed
from tests.acceptance.http_caller import send_json
from tests.acceptance.office import Office
from tests.acceptance.subscribers import DATA_BYTES, RECORD_BYTES, Subscriber
from tests.chaos.customers import Customers
from tests.chaos.mix import drawn

TICK_SECONDS: Final = 0.25
EVERY_NTH_OVER_HTTP: Final = 4
EVERY_NTH_BY_RULE: Final = 5
SAID_TWICE_SHARE: Final = 0.2
MOST_UNDER_WAY: Final = 600
"""Requests on their way to somebody who answers. Beyond that everybody waits: as a load balancer would."""
OFFICE_PAUSE_SECONDS: Final = 0.3
ON_THE_SHELF: Final = "acc-10gb-90d"
"""An offering that nobody buys: its name changes, so that the catalog writes something meanwhile."""


class Traffic:
    """The load of one run. It goes round its subscribers: each is renewed again when its turn comes."""

    def __init__(self, office: Office, customers: Customers, subscribers: Sequence[Subscriber]) -> None:
        self.customers = customers
        self.subscribers = subscribers
        self.on_kafka: list[str] = []
        """Ids of the requests that Kafka has acknowledged."""
        self.used_bytes: Counter[str] = Counter()
        """By subscription: of every record once, however often it was said."""
        self.asked = 0
        self._office = office
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def seeded(cls, office: Office, customers: Customers, number: int, seed: int) -> Traffic:
        """`number` subscribers that every service knows, and who shops assistants change meanwhile."""
        traits = drawn(Random(f"{seed} mix"), number)
        subscribers = [
            office.subscriber(
                cards=each.cards, carrier_code=each.carrier_code, has_rule=place % EVERY_NTH_BY_RULE == 1
            )
            for place, each in enumerate(traits)
        ]
        await office.seed(subscribers)
        await office.sell(ON_THE_SHELF)
        return cls(office, customers, subscribers)

    async def flow(self, per_second: float, seed: int, stopping: asyncio.Event) -> None:
        """Ask at that pace until stopping, then wait until everything said was heard."""
        random = Random(f"{seed} traffic")
        rounds = self._rounds()
        began, due = time.monotonic(), 0.0
        clerks = asyncio.create_task(self._change_things(stopping))
        try:
            while not stopping.is_set():
                due = (time.monotonic() - began) * per_second
                while self.asked < due and len(self._tasks) < MOST_UNDER_WAY:
                    self._begin(*next(rounds), random)
                await asyncio.sleep(TICK_SECONDS)
            while self._tasks:
                await asyncio.wait(self._tasks)
            await clerks
        finally:
            for task in (clerks, *self._tasks):
                task.cancel()

    def _rounds(self) -> Iterator[tuple[Subscriber, int]]:
        for number in count(1):
            for subscriber in self.subscribers:
                yield subscriber, number

    def _begin(self, subscriber: Subscriber, turn: int, random: Random) -> None:
        self.asked += 1
        if subscriber.has_rule:
            self._spawn(self._use_up(subscriber, turn, random))
        elif self.asked % EVERY_NTH_OVER_HTTP == 0:
            key = f"by-hand-{turn}-{subscriber.number}"
            # A stream of its own: whatever waits for whom, each customer has the same whims.
            self._spawn(self.customers.ask(subscriber, key, Random(random.random())))
        else:
            self._spawn(self._request(subscriber, turn, random))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _request(self, subscriber: Subscriber, turn: int, random: Random) -> None:
        request = subscriber.request(f"turn-{turn}")
        times = 2 if random.random() < SAID_TWICE_SHARE else 1
        await self._say(*[request] * times)
        self.on_kafka.append(request.request_id)

    async def _use_up(self, subscriber: Subscriber, turn: int, random: Random) -> None:
        """What is left is used up, in the first turn in two records; some records come twice."""
        size = DATA_BYTES if turn > 1 else RECORD_BYTES
        records = [subscriber.use(f"{turn}-{place}", size) for place in range(1 if turn > 1 else 2)]
        again = [record for record in records if random.random() < SAID_TWICE_SHARE]
        self.used_bytes[subscriber.subscription_id] += size * len(records)
        await self._say(*records, *again)

    async def _say(self, *messages: Message) -> None:
        """Until Kafka has acknowledged all of them."""
        while True:
            try:
                await self._office.say(*messages)
            except PublishFailed:
                await asyncio.sleep(TICK_SECONDS)
            else:
                return

    async def _change_things(self, stopping: asyncio.Event) -> None:
        """A clerk renames an offering; another one, at the next desk, rebinds eSIMs that are not in use."""
        desks = {
            service: [name for name in self._office.stack.instances if name.startswith(f"{service}-")]
            for service in ("catalog", "provisioning")
        }
        shelf = [self._office.subscriber() for _ in range(16)]
        for turn in count():
            if stopping.is_set():
                return
            offering = {
                "name": f"Cuba 10 GB, 90 days ({turn % 7})",
                "destination": "CU",
                "data_bytes": DATA_BYTES,
                "validity_seconds": 90 * 86_400,
                "product_code": "CU-10GB-90D",
            }
            esim = shelf[turn % len(shelf)]
            changed = esim.subscription() | {"brand": f"acceptance-{turn % 5}"}
            await self._put(desks["catalog"][turn % 2], f"/v1/offerings/{ON_THE_SHELF}", offering)
            await self._put(
                desks["provisioning"][turn % 2], f"/v1/subscriptions/{esim.subscription_id}", changed
            )
            await asyncio.sleep(OFFICE_PAUSE_SECONDS)

    async def _put(self, process: str, path: str, body: dict[str, Any]) -> None:
        """Nobody insists: a clerk tries again next time."""
        try:
            await send_json(self._office.stack.service_url(process), "PUT", path, body)
        except (OSError, HTTPException):
            return
