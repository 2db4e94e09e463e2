"""The phases of the bench: a warm-up that nobody counts, saturation, then open loop at several rates."""

import signal
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.local.stack import Stack
from shared.messaging.producer import Producer
from tests.bench.cpu import CpuMeter, spent
from tests.bench.load import Watch, open_loop, preload
from tests.bench.subscribers import Subscriber

WARM_UP = 3_000
OPEN_LOOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Saturated:
    """All requests waited in Kafka: how fast they were done, and what each cost."""

    renewals: int
    seconds: float
    cpu_ms_per_renewal: dict[str, float]

    @property
    def renewals_per_second(self) -> float:
        return self.renewals / self.seconds


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests came at a rate that waited for nobody."""

    rate: float
    latency_ms: dict[str, float]
    cpu_ms_per_renewal: float


async def warm_up(producer: Producer, watch: Watch, subscribers: Sequence[Subscriber]) -> None:
    """Fill caches and plans."""
    some = subscribers[:WARM_UP]
    wanted = watch.count + len(some)
    await preload(producer, some, "warm-up")
    await watch.until(wanted)


async def saturated(
    stack: Stack, producer: Producer, watch: Watch, subscribers: Sequence[Subscriber]
) -> Saturated:
    """From the first request consumed to the last TopUpApplied received.

    The renewal service stands still (SIGSTOP) while the requests go into Kafka, so that all of them wait.
    """
    stack.send("renewal-1", signal.SIGSTOP)
    await preload(producer, subscribers, "saturated")
    meter = CpuMeter(stack.pids)
    before = meter.read()
    wanted = watch.count + len(subscribers)
    start = time.monotonic()
    stack.send("renewal-1", signal.SIGCONT)
    await watch.until(wanted)
    seconds = max(times[-1] for times in watch.arrived.values()) - start
    cost = spent(before, meter.read())
    return Saturated(
        len(subscribers), seconds, {name: used * 1000 / len(subscribers) for name, used in cost.items()}
    )


async def at_rate(
    stack: Stack,
    producer: Producer,
    watch: Watch,
    subscribers: Sequence[Subscriber],
    rate: float,
    seconds: float = OPEN_LOOP_SECONDS,
) -> OpenLoop:
    """Latency from when each request was due to its TopUpApplied, at `rate` a second."""
    meter = CpuMeter(stack.pids)
    before = meter.read()
    latencies = await open_loop(producer, watch, subscribers, f"rate-{rate:g}", rate, seconds)
    cost = sum(spent(before, meter.read()).values())
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return OpenLoop(
        rate,
        {"p50": cuts[49] * 1000, "p95": cuts[94] * 1000, "p99": cuts[98] * 1000},
        cost * 1000 / len(latencies),
    )
