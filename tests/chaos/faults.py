"""What can go wrong, as values: who, what, how long. `tests/chaos/strikes.py` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from shared import crash_points as points

SERVICE_POINTS: Final[dict[str, tuple[str, ...]]] = {
    "renewal": (points.BEFORE_COMMIT, points.COMMIT_TO_PUBLISH, points.PUBLISH_TO_OFFSET),
    "catalog": (
        points.BEFORE_COMMIT,
        points.COMMIT_TO_PUBLISH,
        points.BEFORE_PUBLISH,
        points.PUBLISH_TO_OFFSET,
    ),
    "payment": (
        points.BEFORE_COMMIT,
        points.COMMIT_TO_PUBLISH,
        points.PUBLISH_TO_OFFSET,
        points.BEFORE_SEND,
        points.SEND_TO_RESULT,
    ),
    "provisioning": (
        points.BEFORE_COMMIT,
        points.COMMIT_TO_PUBLISH,
        points.PUBLISH_TO_OFFSET,
        points.BEFORE_SEND,
        points.SEND_TO_RESULT,
    ),
    "usage": (points.BEFORE_COMMIT, points.COMMIT_TO_PUBLISH, points.PUBLISH_TO_OFFSET),
}
"""The places that each service comes by: only some call gateways, only the catalog answers without a row."""

AMID_A_CALL: Final = frozenset({points.BEFORE_SEND, points.SEND_TO_RESULT})
ZOMBIE_POINTS: Final[dict[str, tuple[str, ...]]] = {
    service: tuple(point for point in passed if point in AMID_A_CALL) or passed
    for service, passed in SERVICE_POINTS.items()
}
"""Where a process stands still: amid a call, so that its lease runs out in its hands. Who makes no calls does
amid a transaction, with its rows locked, or between two steps, of which others must not need the second."""

Gateway = Literal["psp", "carrier"]


@dataclass(frozen=True, slots=True)
class Crash:
    """A process kills itself when it passes `point` for the `times`-th time, and is started again."""

    instance: str
    point: str
    times: int

    @property
    def kind(self) -> str:
        return f"{service_of(self.instance)} dies at {self.point}"

    def __str__(self) -> str:
        return f"{self.instance} is to die at {self.point}, the {_nth(self.times)} time it comes there"


@dataclass(frozen=True, slots=True)
class Zombie:
    """A process stands still when it passes `point` for the `times`-th time, for longer than its leases; then
    it goes on as if nothing had happened."""

    instance: str
    point: str
    times: int
    seconds: float

    @property
    def kind(self) -> str:
        return f"{service_of(self.instance)} stands still"

    def __str__(self) -> str:
        return (
            f"{self.instance} is to stand still for {self.seconds:.0f} s (SIGSTOP), longer than its leases, "
            f"at {self.point}, the {_nth(self.times)} time it comes there"
        )


@dataclass(frozen=True, slots=True)
class PostgresRestart:
    """Fast: open transactions are rolled back. Immediate: as a crash, with recovery at the start."""

    mode: Literal["fast", "immediate"]

    @property
    def kind(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"PostgreSQL is restarted ({self.mode})"


@dataclass(frozen=True, slots=True)
class KafkaRestart:
    """A killed node finds its own registration alive and waits for that to run out: about 25 s."""

    how: Literal["SIGTERM", "SIGKILL"]

    @property
    def kind(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"Kafka is restarted ({self.how})"


@dataclass(frozen=True, slots=True)
class KafkaPause:
    """Connections stay, nobody answers."""

    seconds: float

    @property
    def kind(self) -> str:
        return "Kafka stands still"

    def __str__(self) -> str:
        return f"Kafka stands still for {self.seconds:.0f} s (SIGSTOP)"


@dataclass(frozen=True, slots=True)
class GatewaysPause:
    """PSP and carrier take requests and answer none until later."""

    seconds: float

    @property
    def kind(self) -> str:
        return "PSP and carrier stand still"

    def __str__(self) -> str:
        return f"PSP and carrier stand still for {self.seconds:.0f} s (SIGSTOP)"


@dataclass(frozen=True, slots=True)
class Lie:
    """A gateway misbehaves on one operation (or on all, `*`) as the sandbox's table says."""

    gateway: Gateway
    operation: str
    behaviour: str
    probability: float
    seconds: float

    @property
    def kind(self) -> str:
        return f"{self.gateway} lies: {self.behaviour} on {self.operation}"

    def __str__(self) -> str:
        who = "the PSP" if self.gateway == "psp" else "the carrier"
        what = "everything" if self.operation == "*" else self.operation
        return f"{who} lies: {self.behaviour} on {self.probability:.0%} of {what} for {self.seconds:.0f} s"


# `kind` is the same for faults of which one is as good as the other: each kind that is planned must strike.
Fault: TypeAlias = Crash | Zombie | PostgresRestart | KafkaRestart | KafkaPause | GatewaysPause | Lie

LIES: Final[tuple[tuple[Gateway, str, str], ...]] = (
    ("psp", "confirm_intent", "timeout_before"),
    ("psp", "confirm_intent", "timeout_after"),
    ("psp", "confirm_intent", "timeout_late"),
    ("psp", "confirm_intent", "server_error_after"),
    ("psp", "confirm_intent", "late_success"),
    ("psp", "confirm_intent", "garbage"),
    ("psp", "confirm_intent", "forgotten_key"),
    ("psp", "confirm_intent", "decline_insufficient_funds"),
    ("psp", "create_intent", "timeout_after"),
    ("psp", "create_intent", "server_error_kept"),
    ("psp", "cancel_intent", "timeout_after"),
    ("psp", "create_refund", "timeout_after"),
    ("psp", "create_refund", "refund_pending"),
    ("psp", "get_intent", "server_error"),
    ("psp", "webhook", "webhook_forged"),
    ("psp", "webhook", "webhook_duplicate"),
    ("psp", "webhook", "webhook_lost"),
    ("psp", "*", "rate_limited"),
    ("psp", "*", "server_error"),
    ("psp", "*", "slow"),
    ("psp", "*", "timeout_after"),
    ("carrier", "apply_topup", "timeout_before"),
    ("carrier", "apply_topup", "timeout_after"),
    ("carrier", "apply_topup", "timeout_late"),
    ("carrier", "apply_topup", "server_error_after"),
    ("carrier", "apply_topup", "late_success"),
    ("carrier", "apply_topup", "garbage"),
    ("carrier", "apply_topup", "processing"),
    ("carrier", "apply_topup", "processing_fails"),
    ("carrier", "apply_topup", "rejected"),
    ("carrier", "cancel_topup", "timeout_after"),
    ("carrier", "list_topups", "server_error"),
    ("carrier", "*", "rate_limited"),
    ("carrier", "*", "server_error"),
    ("carrier", "*", "slow"),
    ("carrier", "*", "timeout_after"),
)
"""Every lie breaks an answer or a mood, none breaks what a gateway has promised to be able to do: a carrier
that honours keys and forgets them would be paid for twice by anybody (DESIGN, promise 1)."""


def service_of(instance: str) -> str:
    """The service of a process: `payment` of `payment-2`."""
    return instance.partition("-")[0]


def _nth(number: int) -> str:
    return {1: "first", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")
