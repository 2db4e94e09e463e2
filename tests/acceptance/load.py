"""A load that takes every road at once: Kafka, HTTP and rules; most of it goes well, some of it does not.

What each renewal must end as is known beforehand, so that afterwards nothing has to be guessed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from itertools import cycle
from typing import Final, NamedTuple

from tests.acceptance.office import DEADLINE_SECONDS, NotInTime, Office
from tests.acceptance.subscribers import DATA_BYTES, RECORD_BYTES, Subscriber

CHUNK = 40
MAX_UNDER_WAY = 160
"""Renewals begun and not ended: enough that a kill meets many, few enough that it meets not all."""
EVERY_NTH_DEVIATES = 5
EVERY_NTH_OVER_HTTP = 8
EVERY_NTH_BY_RULE = 4
RETRY_SECONDS = 0.1


class Deviation(NamedTuple):
    """How cards and carrier behave, and what that ends as."""

    cards: tuple[str, ...]
    carrier_code: str
    ends: str


DEVIATIONS: Final = (
    Deviation(("timeout_after_once",), "00", "completed"),
    Deviation(("server_error_once",), "00", "completed"),
    Deviation(("slow",), "00", "completed"),
    Deviation(("decline_insufficient_funds", "ok"), "00", "completed"),
    Deviation(("decline_lost_card",), "00", "failed"),
    Deviation(("ok",), "33", "completed"),  # the carrier applies it and keeps silent, once
    Deviation(("ok",), "21", "completed"),  # the carrier fails once
    Deviation(("ok",), "41", "completed"),  # the carrier is slow
    Deviation(("ok",), "10", "refunded"),  # the carrier refuses
    Deviation(("timeout_after_once",), "10", "refunded"),
    Deviation(("processing",), "00", "completed"),
    Deviation(("slow",), "41", "completed"),
)


@dataclass
class Load:
    """Subscribers of one run; each is renewed once."""

    office: Office
    name: str
    expected: dict[str, str]
    """What each subscription's renewal must end as."""
    subscribers: Sequence[Subscriber]

    @classmethod
    async def seeded(cls, office: Office, name: str, size: int, *, has_number: bool = True) -> Load:
        """`size` subscribers that every service knows."""
        deviations = cycle(DEVIATIONS)
        subscribers, expected = [], {}
        for place in range(size):
            deviation = (
                next(deviations) if place % EVERY_NTH_DEVIATES == 0 else Deviation(("ok",), "00", "completed")
            )
            one = office.subscriber(
                cards=deviation.cards,
                carrier_code=deviation.carrier_code,
                has_rule=place % EVERY_NTH_BY_RULE == 1,
                has_number=has_number,
            )
            subscribers.append(one)
            expected[one.subscription_id] = deviation.ends
        await office.seed(subscribers)
        return cls(office, name, expected, subscribers)

    async def feed(self) -> None:
        """Ask for all of them, never far ahead of what has ended: so there is a middle to be killed in."""
        for start in range(0, len(self.subscribers), CHUNK):
            await self.until_ended_at_least(start - MAX_UNDER_WAY)
            await self._ask(self.subscribers[start : start + CHUNK])

    async def _ask(self, chunk: Sequence[Subscriber]) -> None:
        by_rule = [one for one in chunk if one.has_rule]
        others = [one for one in chunk if not one.has_rule]
        over_http = others[::EVERY_NTH_OVER_HTTP]
        over_kafka = [one for one in others if one not in over_http]
        records = [record for one in by_rule for record in (one.use("first"), one.use("second"))]
        # The network repeats itself: each record comes twice.
        await self.office.say(*(one.request(self.name) for one in over_kafka), *records, *records)
        await asyncio.gather(*(self._ask_over_http(one) for one in over_http))

    async def _ask_over_http(self, subscriber: Subscriber) -> None:
        """As a careful client does: the same key until somebody answers, whichever process that is."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        for process in cycle(["renewal-1", "renewal-2"]):
            try:
                reply = await self.office.ask(subscriber, self.key(subscriber), process)
            except (OSError, HTTPException):
                reply = None
            if reply is not None and reply.status < 500:
                assert reply.status in (200, 202), reply
                return
            if time.monotonic() > deadline:
                raise NotInTime(f"nobody took the request of {subscriber.subscription_id}: {reply}")
            await asyncio.sleep(RETRY_SECONDS)

    def key(self, subscriber: Subscriber) -> str:
        return f"{self.name}-{subscriber.number}"

    # How far it is

    async def endings(self) -> dict[str, list[str]]:
        """The states of every subscription's renewals."""
        rows = await self.office.database.fetch(
            "select subscription_id, state from renewal.renewals where subscription_id = any($1::text[])",
            list(self.expected),
        )
        found: dict[str, list[str]] = {subscription_id: [] for subscription_id in self.expected}
        for row in rows:
            found[row["subscription_id"]].append(row["state"])
        return found

    async def ended(self) -> int:
        ended: int = await self.office.database.fetchval(
            "select count(*) from renewal.renewals"
            " where closed_at is not null and subscription_id = any($1::text[])",
            list(self.expected),
        )
        return ended

    async def until_ended(self, share: float, seconds: float = DEADLINE_SECONDS) -> None:
        """Returns once that share of the renewals has ended."""
        await self.until_ended_at_least(round(len(self.expected) * share), seconds)

    async def until_ended_at_least(self, number: int, seconds: float = DEADLINE_SECONDS) -> None:
        async def enough() -> bool:
            return await self.ended() >= number

        await self.office.until(enough, f"{number} of {len(self.expected)} renewals ended", seconds)

    async def miscounted_usage(self) -> dict[str, tuple[int, int, int]]:
        """(used, remaining, cycle) of every subscription by rule whose usage was not counted exactly once."""
        topped_up = {
            one.subscription_id: self.expected[one.subscription_id] == "completed"
            for one in self.subscribers
            if one.has_rule
        }
        rows = await self.office.database.fetch(
            "select subscription_id, used_bytes, (select coalesce(sum((bucket ->> 4)::bigint), 0)::bigint"
            " from json_array_elements(open_buckets) as bucket), cycle"
            " from usage.balances where subscription_id = any($1::text[])",
            list(topped_up),
        )
        counted = {subscription_id: (used, left, cycle) for subscription_id, used, left, cycle in rows}
        right = {
            subscription_id: (2 * RECORD_BYTES, DATA_BYTES, 1) if applied else (2 * RECORD_BYTES, 0, 0)
            for subscription_id, applied in topped_up.items()
        }
        return {one: counted.get(one, (0, 0, 0)) for one in right if counted.get(one) != right[one]}
