"""Carries faults out on a running stack, each with its repair: afterwards what was struck runs again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from deploy.local.errors import ChildDied, NotReady
from shared import crash_points
from tests.acceptance.http_caller import send_json
from tests.chaos.chaos_stack import ChaosStack
from tests.chaos.faults import (
    Crash,
    Fault,
    Gateway,
    GatewaysPause,
    KafkaPause,
    KafkaRestart,
    Lie,
    PostgresRestart,
    Zombie,
)
from tests.chaos.schedule import Planned, Schedule, lasts
from tests.chaos.story import Story, first_sentence
from tests.chaos.waiting import for_time, until, until_time

REACHED_SECONDS: Final = 90.0
"""An order not carried out by then never will be: the longest outage of Kafka is a third of this."""
BACK_SECONDS: Final = 240.0
ENDED_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 0.2
Deed: TypeAlias = tuple[str, int]
"""What came of a fault, in words, and how often it struck."""


class Strikes:
    """The hand that strikes and mends."""

    def __init__(self, stack: ChaosStack, story: Story) -> None:
        self._stack = stack
        self._story = story

    async def carry_out(self, schedule: Schedule) -> None:
        """Every lane at once, each fault when it is due or as soon as the one before is mended."""
        lanes = [asyncio.create_task(self._lane(lane, schedule.seconds)) for lane in schedule.lanes]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)

    async def _lane(self, lane: Sequence[Planned], seconds: float) -> None:
        late = 0.0
        for planned in lane:
            # A lane that fell behind leaves out what it has done before: every kind strikes before the end.
            if self._story.seconds >= seconds and not self._is_owed(planned.fault):
                continue
            # And it keeps its pauses: of two outages without one, a third is made that nobody planned.
            await until_time(self._story.began + planned.at_seconds + late)
            await self.strike(planned.fault)
            late = max(late, self._story.seconds - planned.at_seconds - lasts(planned.fault))

    def _is_owed(self, fault: Fault) -> bool:
        return not self._story.times(fault.kind)

    async def strike(self, fault: Fault) -> None:
        """Strike, mend, tell."""
        began_at = datetime.now(UTC)
        tale, times = await self._carried_out(fault)
        self._story.happened(fault, began_at, tale, times)

    async def _carried_out(self, fault: Fault) -> Deed:
        match fault:
            case Crash():
                return await self._crash(fault)
            case Zombie():
                return await self._become_zombie(fault)
            case PostgresRestart():
                number = signal.SIGINT if fault.mode == "fast" else signal.SIGQUIT
                return await self._restart("postgres", number)
            case KafkaRestart():
                return await self._restart("kafka", signal.Signals[fault.how])
            case KafkaPause():
                return await self._stand_still("kafka", fault.seconds)
            case GatewaysPause():
                return await self._stand_still("sandbox", fault.seconds)
            case Lie():
                return await self._lie(fault)

    async def _crash(self, fault: Crash) -> Deed:
        file = self._stack.order_file(fault.instance)
        ordered = time.monotonic()
        crash_points.write_order(file, fault.point, fault.times)
        if not await until(lambda: fault.instance not in self._stack.pids, REACHED_SECONDS):
            # Between the look and the taking back it may still have died of it.
            if crash_points.taken_back(file):
                return self._missed(fault)
            await until(lambda: fault.instance not in self._stack.pids, REACHED_SECONDS)
        died = time.monotonic()
        as_ordered = crash_points.was_carried_out(file)
        if as_ordered:
            how = f"died there after {died - ordered:.1f} s"
        else:
            crash_points.taken_back(file)
            how = f"died after {died - ordered:.1f} s, not as ordered"
        await self._bring_back(fault.instance)
        return f"{how}, was back {time.monotonic() - died:.1f} s later", int(as_ordered)

    async def _become_zombie(self, fault: Zombie) -> Deed:
        file = self._stack.order_file(fault.instance)
        ordered = time.monotonic()
        crash_points.write_order(file, fault.point, fault.times, signal.SIGSTOP)
        if not await until(lambda: crash_points.was_carried_out(file), REACHED_SECONDS):
            if crash_points.taken_back(file):
                return self._missed(fault)
            crash_points.was_carried_out(file)
        tale, times = await self._stand_still(fault.instance, fault.seconds)
        return f"stood still there after {time.monotonic() - ordered - fault.seconds:.1f} s {tale}", times

    def _missed(self, fault: Crash | Zombie) -> Deed:
        self._story.misses.append(f"{fault.instance} never came to {fault.point}")
        return f"it never came there in {REACHED_SECONDS:g} s", 0

    async def _stand_still(self, name: str, seconds: float) -> Deed:
        self._stack.send(name, signal.SIGSTOP)
        try:
            await for_time(seconds)
        finally:
            self._stack.send(name, signal.SIGCONT)
        return "and goes on as if nothing had happened", 1

    async def _restart(self, name: str, number: signal.Signals) -> Deed:
        began = time.monotonic()
        async with asyncio.timeout(ENDED_SECONDS):
            await self._stack.kill(name, number)
        ended = time.monotonic()
        await self._bring_back(name)
        back = time.monotonic()
        return f"it ended in {ended - began:.1f} s and answered again {back - ended:.1f} s later", 1

    async def _bring_back(self, name: str) -> None:
        """As a supervisor does: again and again, since what it needs may be away, too."""
        deadline = time.monotonic() + BACK_SECONDS
        while True:
            try:
                await self._stack.restart(name)
            except (ChildDied, NotReady) as error:
                if time.monotonic() > deadline:
                    raise
                self._story.say(f"{name} could not start and is started again ({first_sentence(str(error))})")
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def _lie(self, fault: Lie) -> Deed:
        """For its time, and on until somebody has met it: a lie that nobody hears proves nothing."""
        url = self._url_of(fault.gateway)
        rule = {"operation": fault.operation, "behaviour": fault.behaviour, "probability": fault.probability}
        await send_json(url, "PUT", "/faults", [rule])
        deadline = time.monotonic() + REACHED_SECONDS
        await for_time(fault.seconds)
        while not (told := await _told(url))["fired"] and time.monotonic() < deadline:
            await for_time(AGAIN_SECONDS)
        await send_json(url, "DELETE", "/faults")
        return f"{told['fired']} of {told['seen']} calls", int(told["fired"])

    def _url_of(self, gateway: Gateway) -> str:
        return self._stack.psp_url if gateway == "psp" else self._stack.carrier_url

    async def end_all(self) -> None:
        """Also when a run is cut short: nobody lies or stands still any more."""
        for name in self._stack.pids:
            self._stack.send(name, signal.SIGCONT)
        for url in (self._stack.psp_url, self._stack.carrier_url):
            await send_json(url, "DELETE", "/faults")


async def _told(url: str) -> dict[str, Any]:
    """The one lie that a gateway was told to tell, and how often it was seen and told."""
    [told] = (await send_json(url, "GET", "/faults")).body["faults"]
    return dict(told)
