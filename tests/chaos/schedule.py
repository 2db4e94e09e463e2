"""Which fault when, drawn from a seed: the same seed, the same schedule. Pure.

Three lanes at once: services die and stand still, the ground under them gives way, gateways lie. A lane deals
from a deck that holds everything once, and shuffles a new one only when it is empty: a run that is long
enough meets everything, a short one meets every service once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from tests.chaos.faults import (
    LIES,
    SERVICE_POINTS,
    ZOMBIE_POINTS,
    Crash,
    Fault,
    GatewaysPause,
    KafkaPause,
    KafkaRestart,
    Lie,
    PostgresRestart,
    Zombie,
    service_of,
)

REPLICAS: Final = 2
ZOMBIE_SECONDS: Final = 9.0
"""Longer than any lease of the services under chaos (chaos_stack.py)."""
LONG_ZOMBIE_SECONDS: Final = 36.0
"""Longer than Kafka's session, too: its partitions are another's when it wakes."""
FIRST_AT_SECONDS: Final = 3.0
MOST_PASSES: Final = 12
MOST_RARE_PASSES: Final = 2
RARE: Final = frozenset({"catalog"})
"""Who comes by the points of a transaction seldom: it mostly answers without one."""


class Planned(NamedTuple):
    """A fault, and when it is due, in seconds from the start; later by as much as its lane is behind."""

    at_seconds: float
    fault: Fault


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that happens in a run of `seconds`."""

    seed: int
    seconds: float
    services: Sequence[Planned]
    ground: Sequence[Planned]
    gateways: Sequence[Planned]

    @property
    def lanes(self) -> tuple[Sequence[Planned], ...]:
        return self.services, self.ground, self.gateways

    @property
    def crashes(self) -> set[tuple[str, str]]:
        """The (service, point) pairs at which somebody is to die."""
        faults = [planned.fault for planned in self.services]
        return {(service_of(one.instance), one.point) for one in faults if isinstance(one, Crash)}

    @property
    def kinds(self) -> Counter[str]:
        """How often each kind of fault is planned."""
        return Counter(planned.fault.kind for lane in self.lanes for planned in lane)


def draw(seed: int, seconds: float) -> Schedule:
    """The schedule of a seed. Lanes are drawn from streams of their own: none disturbs another."""

    def lane(name: str, deck: Deck, pauses: tuple[float, float]) -> Sequence[Planned]:
        return list(_dealt(Random(f"{seed} {name}"), deck, pauses, seconds))

    return Schedule(
        seed,
        seconds,
        services=lane("services", _services, (0.5, 3.0)),
        ground=lane("ground", _ground, (12.0, 28.0)),
        gateways=lane("gateways", _gateways, (1.0, 5.0)),
    )


Deck = Callable[[Random], list[Fault]]


def _dealt(random: Random, deck: Deck, pauses: tuple[float, float], seconds: float) -> Iterator[Planned]:
    at = FIRST_AT_SECONDS + random.uniform(0, pauses[0])
    while True:
        for fault in deck(random):
            if at + lasts(fault) > seconds:
                return
            yield Planned(round(at, 1), fault)
            at += lasts(fault) + random.uniform(*pauses)


def lasts(fault: Fault) -> float:
    """About how long a fault takes with its repair, in seconds."""
    match fault:
        case Crash():
            return 4.0
        case PostgresRestart():
            return 3.0
        case KafkaRestart("SIGTERM"):
            return 9.0
        case KafkaRestart():
            return 32.0
        case _:
            return fault.seconds


def _services(random: Random) -> list[Fault]:
    """Every point of every service, in rounds that meet each service once, with a zombie amid each round."""
    left = {service: random.sample(points, len(points)) for service, points in SERVICE_POINTS.items()}
    zombies = random.sample(list(left), len(left))
    dealt: list[Fault] = []
    while any(left.values()):
        dying: list[Fault] = [
            Crash(_process(random, service), left[service].pop(), random.randint(1, _most_passes(service)))
            for service in random.sample(list(left), len(left))
            if left[service]
        ]
        if zombies:
            seconds = LONG_ZOMBIE_SECONDS if len(zombies) == 1 else ZOMBIE_SECONDS
            dying.insert(len(dying) // 2, _zombie(random, zombies.pop(), seconds))
        dealt += dying
    return dealt


def _zombie(random: Random, service: str, seconds: float) -> Zombie:
    point = random.choice(ZOMBIE_POINTS[service])
    return Zombie(_process(random, service), point, random.randint(1, _most_passes(service)), seconds)


def _most_passes(service: str) -> int:
    return MOST_RARE_PASSES if service in RARE else MOST_PASSES


def _process(random: Random, service: str) -> str:
    return f"{service}-{random.randint(1, REPLICAS)}"


def _ground(random: Random) -> list[Fault]:
    """The brief ones first, so that a short run meets PostgreSQL and Kafka both."""
    brief: list[Fault] = [PostgresRestart("immediate"), KafkaPause(random.uniform(4, 7))]
    longer: list[Fault] = [
        PostgresRestart("fast"),
        KafkaRestart("SIGTERM"),
        KafkaRestart("SIGKILL"),
        KafkaPause(random.uniform(11, 14)),
        GatewaysPause(random.uniform(4, 8)),
    ]
    random.shuffle(brief)
    random.shuffle(longer)
    return brief + longer


def _gateways(random: Random) -> list[Fault]:
    return [
        Lie(gateway, operation, behaviour, _share(operation, random), random.uniform(3, 8))
        for gateway, operation, behaviour in random.sample(LIES, len(LIES))
    ]


def _share(operation: str, random: Random) -> float:
    """What concerns every call breaks a part of them, so that some of the answers are true."""
    return round(random.uniform(0.2, 0.5) if operation == "*" else random.uniform(0.4, 1.0), 1)
