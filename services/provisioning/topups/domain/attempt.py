"""One attempt at the carrier: what is known of it, and what to ask next."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

from services.provisioning.topups.domain.top_up import FINAL, TopUp
from shared.contracts.message import deterministic_id

Operation = Literal["apply", "cancel"]
Status = Literal[
    "waiting",  # for a worker; nothing was sent
    "sending",  # may be under way, may have worked
    "processing",  # the carrier has it and will say later
    "applied",
    "failed",  # known not to have been applied
    "absent",  # left no trace at the carrier
    "rejected",  # the carrier will never apply it
    "cancelled",  # called off
    "undetermined",  # given up asking
]

Call = Literal[
    "apply",  # the effectful call: first, or the same again under the same key
    "cancel",  # call off by reference
    "find",  # ask by our reference
    "look_up",  # ask by the carrier's own reference
    "nothing",  # this carrier cannot be asked
]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a carrier can do. `cancels` promises that a cancelled reference is never applied afterwards."""

    honours_keys: bool = True
    key_memory_seconds: float = 86_400.0
    queries: bool = True
    cancels: bool = True
    visibility_seconds: float = 0.0
    """A top-up is found by our reference at most this long after it was made."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what. All in seconds but `repeats`, a number of calls."""

    send_window: float = 3.0
    """From the claim to the last instant at which the request may be written."""
    call: float = 5.0
    """The deadline of one call, waiting for a connection included."""
    lease: float = 15.0
    """Longer than send_window + call: then a second worker never sends beside the first."""
    resolution: float = 120.0
    """From the first send to TopUpUndetermined."""
    repeats: int = 4
    """Calls under one key before the carrier is asked by reference instead."""
    key_margin: float = 600.0
    """A key is not used this close to the end of the carrier's memory."""
    back_off: float = 0.5
    back_off_cap: float = 15.0

    def __post_init__(self) -> None:
        if self.lease <= self.send_window + self.call:
            raise ValueError("the lease must outlast the send window and the call together")


class Attempt(NamedTuple):
    """A row of top_up_attempts. `claim` is the fencing number of the lease; `asked` counts the calls."""

    operation: Operation
    ordinal: int
    status: Status
    claim: int
    asked: int
    first_sent_at: datetime | None = None
    send_before: datetime | None = None
    provider_reference: str | None = None
    reason: str | None = None
    ended: bool = False


OPEN: Final[frozenset[str]] = frozenset({"waiting", "sending", "processing"})


def idempotency_key(renewal_id: UUID, operation: Operation, ordinal: int) -> UUID:
    """The same attempt always has the same key: repeating a call after a crash repeats no effect."""
    return deterministic_id(renewal_id, operation, ordinal)


def next_call(
    top_up: TopUp, attempt: Attempt, carrier: Capabilities, patience: Patience, now: datetime
) -> Call:
    """What a worker that has just claimed the attempt asks the carrier."""
    if attempt.operation == "cancel":
        return "cancel"
    if attempt.status == "waiting":
        return "apply"
    if attempt.provider_reference is not None:
        return "look_up"
    unwanted = top_up.cancel_wanted or top_up.state == "calling_off"
    # Repeating the call would apply what the first one did not: not what is wanted now, if asking will do.
    if unwanted and (carrier.queries or carrier.cancels):
        return "find" if carrier.queries else "nothing"
    if attempt.asked <= patience.repeats and _key_is_remembered(attempt, carrier, patience, now):
        return "apply"
    return "find" if carrier.queries else "nothing"


def is_effectful(call: Call) -> bool:
    """Whether the request may change something at the carrier: then `send_before` binds it."""
    return call in ("apply", "cancel")


def _key_is_remembered(attempt: Attempt, carrier: Capabilities, patience: Patience, now: datetime) -> bool:
    if not carrier.honours_keys or attempt.first_sent_at is None:
        return False
    remembered = timedelta(seconds=carrier.key_memory_seconds - patience.key_margin)
    return now < attempt.first_sent_at + remembered


def absence_is_certain_at(send_before: datetime, carrier: Capabilities, patience: Patience) -> datetime:
    """After that "not found" means that the carrier does not have it: the last request has ended by then."""
    return send_before + timedelta(seconds=patience.call + carrier.visibility_seconds)


def back_off_seconds(asked: int, patience: Patience) -> float:
    """How long to wait after the n-th call that told nothing."""
    return float(min(patience.back_off_cap, patience.back_off * 2 ** min(max(asked - 1, 0), 16)))


def opened(before: TopUp | None, after: TopUp) -> list[tuple[Operation, int]]:
    """The attempts at the carrier that a decision begins."""
    begun: list[tuple[Operation, int]] = []
    if after.state == "pending" and (before is None or before.state not in ("pending", "sending")):
        begun.append(("apply", after.ordinal))
    if after.cancel_ordinal > (before.cancel_ordinal if before is not None else 0):
        begun.append(("cancel", after.cancel_ordinal))
    return begun


def closed(before: TopUp, after: TopUp) -> list[tuple[Operation, int, Status]]:
    """The attempts that a decision ends, if they have not ended by themselves."""
    if before.state == "pending" and after.state == "calling_off":
        # It waits for a worker, which would send it.
        return [("apply", before.ordinal, "cancelled")]
    if after.state not in FINAL or before.state not in ("pending", "sending", "calling_off"):
        return []
    applied = after.state == "applied"
    ended: list[tuple[Operation, int, Status]] = [
        ("apply", before.ordinal, "applied" if applied else "cancelled")
    ]
    if before.state == "calling_off":
        ended.append(("cancel", before.cancel_ordinal, "failed" if applied else "cancelled"))
    return ended
