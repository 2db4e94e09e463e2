"""What a seed stands for: who wants what, what breaks, when it becomes quiet. Drawn before anything runs.

Every kind of fault draws from a stream of its own, so that leaving one out leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from deploy.sandbox.behaviours import BEHAVIOURS, ICCID_CODES, ICCID_PREFIX, OK, rows_for
from shared.contracts.checks import luhn_digit

POINTS: Final = ("before_commit", "after_commit", "after_publish", "before_send", "after_send")
"""Where a process is killed or stopped: around every effect. After the commit is before the publication,
after the publication before the offset; after the send is before the result is looked at."""

CRASHES: Final = tuple(f"crash.{point}" for point in POINTS)
ZOMBIES: Final = tuple(f"zombie.{point}" for point in POINTS)
CHANCES: Final[Mapping[str, float]] = {
    # The most likely that each may be, per opportunity.
    "database.slow": 0.01,
    "database.conflict": 0.05,
    "database.lost": 0.03,
    "database.unknown_commit_done": 0.06,
    "database.unknown_commit_lost": 0.06,
    "kafka.duplicate": 0.2,
    "kafka.late": 0.1,
    "kafka.reordered": 0.2,
    "kafka.refused": 0.1,
    "kafka.partly_refused": 0.1,
    "kafka.unacknowledged": 0.1,
    "network.refused": 0.15,
    "network.late": 0.1,
    "network.cut": 0.15,
}
REDELIVERY: Final = "kafka.redelivered"
SKEW: Final = "clock.skewed"
PSP: Final = tuple(f"psp.{row.name}" for row in rows_for("psp") if row is not OK)
CARRIER: Final = tuple(f"carrier.{row.name}" for row in rows_for("carrier") if row is not OK)
KINDS: Final = (*CRASHES, *ZOMBIES, *CHANCES, REDELIVERY, SKEW, *PSP, *CARRIER)
"""Every kind of fault there is. Each must change some renewal's path, or a run of many seeds fails."""

_OPERATIONS: Final = {
    "psp": {"*", "create_intent", "confirm_intent", "webhook"},
    "carrier": {"*", "apply_topup"},
}
_LATER: Final = ("later_", "unseen_")
TOO_LATE_SECONDS: Final = 3600.0
"""After an authority's resolution deadline: what it has decided without an answer is contradicted then."""
_BEARABLE_SECONDS: Final = 90.0
"""Within an authority's resolution deadline, with what else there is to do."""
SERVICES: Final = ("renewal", "catalog", "payment", "provisioning")
PRICE_MINOR: Final = 1200
RICH_MINOR: Final = 4 * PRICE_MINOR
"""What nobody here spends: two wishes, each asked for in person too."""
_UNPUBLISHED: Final = frozenset(
    {
        *CRASHES,
        "database.unknown_commit_done",
        "kafka.refused",
        "kafka.partly_refused",
        "kafka.unacknowledged",
    }
)
"""Faults after which events are committed that nobody is about to publish: the outbox's poller has to."""
_SAGA_STEPS_IN: Final = frozenset({"network.refused", "network.late", "network.cut"}) | (
    {*PSP, *CARRIER}
    - {
        *(f"psp.{row.name}" for row in rows_for("psp") if row.webhook),
        *(f"psp.{name}" for name in ("slow", "processing", "dispute", "forgotten_key", "refund_pending")),
        *(f"carrier.{name}" for name in ("slow", "processing", "timeout_after", "timeout_late")),
        "psp.decline_lost_card",
        "psp.decline_stolen_card",
        "psp.decline_fraudulent",
        "psp.decline_pickup_card",
        "psp.decline_incorrect_number",
        "psp.decline_revocation_of_authorization",
        "psp.decline_expired_card",
        "carrier.rejected",
        "carrier.rejected_iccid_unknown",
        "carrier.rejected_product_unavailable",
    }
)
"""Faults after which the saga tries again later, or asks somebody until a deadline: its timers have to run.
What is left settles itself or ends the renewal at once, whatever dies in between."""
NETS: Final[Mapping[str, frozenset[str]]] = {"poller": _UNPUBLISHED, "timers": _SAGA_STEPS_IN}
"""The safety nets, and the faults that they are there for."""


@dataclass(frozen=True, slots=True)
class Card:
    """A payment method; a wallet has no token."""

    payment_method_id: str
    token: str | None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscription, its owner's ways to pay, and what its ICCID does at the carrier."""

    subscription_id: str
    owner_id: str
    iccid: str
    cards: tuple[Card, ...]
    balance_minor: int
    has_rule: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody asks for a renewal, `at` seconds after the beginning; and what they do about it later."""

    at: float
    subscriber: Subscriber
    request_id: str
    max_amount_minor: int
    twice: bool
    cancels_after: float | None
    pays_after: float | None
    """How long after they were asked they confirm, or choose another method; None: they never do."""

    @property
    def in_person_after(self) -> float | None:
        """How long after their rule was to renew they ask in person; None: they leave it to the rule."""
        lot = Random(f"in person/{self.subscriber.iccid}/{self.request_id}/{self.at}")
        if not self.subscriber.has_rule or lot.random() < 0.7:
            return None
        return lot.uniform(0.0, 3.0) if lot.random() < 0.6 else lot.uniform(3.0, 900.0)


@dataclass(frozen=True, slots=True)
class Sudden:
    """A process is killed, or stopped for a while, when it comes by that point for the nth time."""

    kind: str
    service: str
    point: str
    nth: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Everything that was drawn."""

    seed: int
    subscribers: tuple[Subscriber, ...]
    wishes: tuple[Wish, ...]
    replicas: Mapping[str, int]
    quiet_at: float
    sudden: tuple[Sudden, ...] = ()
    chances: Mapping[str, float] = field(default_factory=dict)
    redeliveries: tuple[float, ...] = ()
    skews: Mapping[str, float] = field(default_factory=dict)
    rules: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    nets_off: frozenset[str] = frozenset()
    replays: bool = False

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of fault that may strike."""
        struck = {one.kind for one in self.sudden} | set(self.chances)
        struck |= {REDELIVERY} if self.redeliveries else set()
        struck |= {SKEW} if any(self.skews.values()) else set()
        for server, rules in self.rules.items():
            struck |= {f"{server}.{rule['behaviour']}" for rule in rules}
        for subscriber in self.subscribers:
            struck |= set(_kinds_of(subscriber))
        return frozenset(struck)


def _kinds_of(subscriber: Subscriber) -> Iterator[str]:
    for card in subscriber.cards:
        behaviour = behaviour_of(card.token)
        if behaviour is not None:
            yield f"psp.{behaviour}"
    code = ICCID_CODES[subscriber.iccid[7:9]][0]
    if code != "ok":
        yield f"carrier.{code}"


def behaviour_of(token: str | None) -> str | None:
    """The sandbox's behaviour that a card shows; None where it simply pays."""
    if token is None:
        return None
    words = token.removeprefix("tok_").split("_")
    for end in range(len(words), 0, -1):
        name = "_".join(words[:end])
        if name in BEHAVIOURS:
            return None if name == "ok" else name
    return None


def plan(seed: int, without: frozenset[str] = frozenset()) -> Plan:
    """The plan of a seed; `without` some kinds of fault, all else being equal."""
    nets_off = Random(f"{seed}/nets").choices(
        [(), ("poller",), ("timers",), ("poller", "timers")], (80, 7, 8, 5)
    )[0]
    needless = without.union(*(NETS[net] for net in nets_off))
    return _drawn(seed, needless, frozenset(nets_off))


def _drawn(seed: int, without: frozenset[str], nets_off: frozenset[str]) -> Plan:
    random = Random(f"{seed}/plan")
    subscribers = tuple(
        _subscriber(Random(f"{seed}/subscriber/{n}"), n, without, "timers" not in nets_off)
        for n in range(random.randint(3, 7))
    )
    wishes = tuple(_wishes(random, subscribers))
    calm = random.random() < 0.1
    quiet_at = random.choice((30.0, 60.0, 120.0, 120.0, 300.0, 1200.0))
    drawn = Plan(
        seed,
        subscribers,
        wishes,
        {name: 1 if name == "catalog" else random.choice((1, 2, 2)) for name in SERVICES},
        quiet_at,
        nets_off=nets_off,
        replays=random.random() < 0.25,
    )
    if calm:
        return drawn
    return _stormy(drawn, without)


def _stormy(drawn: Plan, without: frozenset[str]) -> Plan:
    seed = drawn.seed
    lot = Random(f"{seed}/storm")
    sudden = tuple(_sudden(Random(f"{seed}/sudden/{n}")) for n in range(lot.choice((0, 1, 2, 4))))
    chances = {}
    for kind, most in CHANCES.items():
        own = Random(f"{seed}/{kind}/how often")
        if own.random() < 0.3 and kind not in without:
            chances[kind] = most * own.uniform(0.2, 1.0)
    redeliveries = tuple(lot.uniform(1, drawn.quiet_at) for _ in range(lot.choice((0, 0, 1, 2))))
    skewed = lot.random() < 0.4 and SKEW not in without
    skews = {
        f"{name}-{number}": lot.uniform(-3.0, 3.0) if skewed and name != "catalog" else 0.0
        for name in SERVICES
        for number in (1, 2)
    }
    rules = {
        server: tuple(_rules(server, Random(f"{seed}/{server}/rules"), without))
        for server in ("psp", "carrier")
    }
    return Plan(
        seed,
        drawn.subscribers,
        drawn.wishes,
        drawn.replicas,
        drawn.quiet_at,
        tuple(_bearable(drawn, [one for one in sudden if one.kind not in without])),
        chances,
        redeliveries if REDELIVERY not in without else (),
        skews,
        rules,
        nets_off=drawn.nets_off,
        replays=drawn.replays,
    )


def _bearable(drawn: Plan, sudden: Sequence[Sudden]) -> Iterator[Sudden]:
    """Without the saga's timers nobody tries again what an authority gave up while it stood still."""
    left = _BEARABLE_SECONDS if "timers" in drawn.nets_off else float("inf")
    for one in sudden:
        left -= one.seconds
        if left > 0:
            yield one


def _sudden(random: Random) -> Sudden:
    point = random.choice(POINTS)
    calling = point in ("before_send", "after_send")
    service = random.choice(("payment", "provisioning") if calling else SERVICES)
    what = random.choice(("crash", "zombie"))
    seconds = random.uniform(0.5, 20.0) if what == "crash" else random.uniform(2.0, 50.0)
    return Sudden(f"{what}.{point}", service, point, random.randint(1, 20), seconds)


def _rules(server: str, random: Random, without: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    for _ in range(random.choice((0, 0, 1, 2))):
        row = random.choice([row for row in rows_for(server) if row is not OK and row.refund == "accept"])
        operations = [name for name in row.operations or ("*",) if name in _OPERATIONS[server]]
        rule = {
            "operation": random.choice(operations),
            "behaviour": row.name,
            "probability": random.uniform(0.05, 0.4),
            "seed": random.randrange(1000),
        }
        if row.decision.startswith(_LATER) and random.random() < 0.4:
            rule["seconds"] = TOO_LATE_SECONDS
        if f"{server}.{row.name}" not in without:
            yield rule


def _subscriber(random: Random, number: int, without: frozenset[str], patient: bool) -> Subscriber:
    """Nobody waits for a wallet to be filled where the saga is not `patient`."""
    name = f"sub-{number}"
    cards = tuple(
        _card(random, f"pm-{number}-{place}", without) for place in range(random.choice((1, 1, 2, 3)))
    )
    code = random.choice(sorted(ICCID_CODES)) if random.random() < 0.5 else "00"
    if f"carrier.{ICCID_CODES[code][0]}" in without:
        code = "00"
    digits = f"{ICCID_PREFIX}{code}{number:09d}"
    return Subscriber(
        name,
        f"owner-{number}",
        digits + luhn_digit(digits),
        cards,
        random.choice((0, PRICE_MINOR, RICH_MINOR) if patient else (RICH_MINOR,)),
        random.random() < 0.3,
    )


def _card(random: Random, name: str, without: frozenset[str]) -> Card:
    lot, times = random.random(), random.choice(("", "_once", "_twice", "_always"))
    row = random.choice([row for row in rows_for("psp") if row is not OK])
    if lot < 0.1:
        return Card(name, None)
    if lot < 0.5 or f"psp.{row.name}" in without:
        return Card(name, "tok_ok")
    return Card(name, f"tok_{row.name}{times}")


def _wishes(random: Random, subscribers: tuple[Subscriber, ...]) -> Iterator[Wish]:
    for subscriber in subscribers:
        for number in range(random.choice((1, 1, 2))):
            yield Wish(
                random.uniform(0.1, 15.0) + 40.0 * number,
                subscriber,
                f"wish-{number}",
                PRICE_MINOR if random.random() < 0.95 else PRICE_MINOR - 1,
                random.random() < 0.2,
                random.uniform(0.0, 30.0) if random.random() < 0.25 else None,
                random.uniform(1.0, 60.0) if random.random() < 0.7 else None,
            )
