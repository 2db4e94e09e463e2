"""The load: RequestRenewals in Kafka, all at once or at a rate that does not wait for answers."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle

from aiokafka import AIOKafkaConsumer

from shared.contracts.renewal_requests import RequestRenewal
from shared.messaging.envelope import enclose
from shared.messaging.producer import Producer
from tests.bench.subscribers import AMOUNT_MINOR, CURRENCY, OFFERING, Subscriber

CHUNK = 1_000
DEADLINE_SECONDS = 180.0
TICK_SECONDS = 0.01


def requests(subscribers: Iterable[Subscriber], phase: str, act_before: datetime) -> Iterator[RequestRenewal]:
    """One request for each; `phase` makes the request ids of one run differ from another's."""
    for number, subscriber in enumerate(subscribers):
        yield RequestRenewal(
            caller="bench",
            request_id=f"{phase}-{number}",
            subscription_id=subscriber.subscription_id,
            offering_id=OFFERING,
            expected_amount_minor=AMOUNT_MINOR,
            currency=CURRENCY,
            payment_method_ids=(subscriber.payment_method_id,),
            act_before=act_before,
        )


async def preload(producer: Producer, subscribers: Sequence[Subscriber], phase: str) -> None:
    """Put one request for every subscriber into Kafka, as fast as it takes them."""
    now = datetime.now(UTC)
    waiting = list(requests(subscribers, phase, now + timedelta(minutes=15)))
    for start in range(0, len(waiting), CHUNK):
        await producer.publish([enclose(one, None) for one in waiting[start : start + CHUNK]], now)


@dataclass
class Watch:
    """Reads `topups.v1` from now on and notes when each subscription's top-up arrived (monotonic)."""

    bootstrap: str
    arrived: dict[str, list[float]] = field(default_factory=dict)
    count: int = 0

    async def __aenter__(self) -> "Watch":
        self._consumer = AIOKafkaConsumer(
            "topups.v1", bootstrap_servers=self.bootstrap, auto_offset_reset="latest", fetch_max_wait_ms=500
        )
        await self._consumer.start()
        await self._consumer.seek_to_end()
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def until(self, count: int) -> None:
        """Returns when that many have arrived.

        Raises:
            TimeoutError: they have not within the deadline.
        """
        async with asyncio.timeout(DEADLINE_SECONDS):
            while self.count < count:
                await asyncio.sleep(0.05)

    async def _read(self) -> None:
        while True:
            by_partition = await self._consumer.getmany(timeout_ms=100)
            now = time.monotonic()
            for records in by_partition.values():
                for record in records:
                    if (b"TopUpApplied") in (value for _, value in record.headers):
                        self.arrived.setdefault(record.key.decode(), []).append(now)
                        self.count += 1


async def open_loop(
    producer: Producer,
    watch: Watch,
    subscribers: Sequence[Subscriber],
    phase: str,
    rate: float,
    seconds: float,
) -> list[float]:
    """Ask at `rate` a second whatever happens; seconds from when each was due to its top-up's arrival.

    Counting from the due time, not the send time, keeps a stalled sender from hiding a stall.
    """
    total = int(rate * seconds)
    act_before = datetime.now(UTC) + timedelta(minutes=15)
    waiting = list(
        requests((s for s, _ in zip(cycle(subscribers), range(total), strict=False)), phase, act_before)
    )
    envelopes = [enclose(one, None) for one in waiting]
    due: dict[str, list[float]] = {}
    before = watch.count
    start, sent = time.monotonic(), 0
    while sent < total:
        ready = min(total, int((time.monotonic() - start) * rate) + 1)
        if ready > sent:
            for number in range(sent, ready):
                due.setdefault(waiting[number].subscription_id, []).append(start + number / rate)
            await producer.publish(envelopes[sent:ready], datetime.now(UTC))
            sent = ready
        await asyncio.sleep(min(TICK_SECONDS, 1 / rate))
    await watch.until(before + total)
    return [
        arrived - asked
        for subscription_id, times in due.items()
        for asked, arrived in zip(times, watch.arrived[subscription_id][-len(times) :], strict=True)
    ]
