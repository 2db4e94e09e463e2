"""What provisioning is told, folded into the decision: the tables below are the rules.

Any interleaving, duplicates and a replay from the beginning are legal input.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, overload

from services.provisioning.topups.domain.top_up import SPOKEN, State, TopUp
from shared.contracts.message import StartsEffect
from shared.contracts.payments import PaymentCaptured
from shared.contracts.topup_commands import CancelTopUp, ResolveTopUp

Instruction = StartsEffect | CancelTopUp | ResolveTopUp
"""PaymentCaptured says the same as ApplyTopUp: both are a StartsEffect."""

Act = Literal["ignore", "answer", "start", "end", "call_off", "decide"]

APPLY: Final[dict[State, tuple[Act, Act, Act]]] = {
    # state           lower     equal     higher attempt than the current one
    "held": ("ignore", "start", "start"),
    "pending": ("ignore", "ignore", "ignore"),
    "sending": ("ignore", "ignore", "ignore"),
    "failed": ("ignore", "answer", "start"),
    "calling_off": ("ignore", "ignore", "ignore"),
    "undetermined": ("ignore", "answer", "answer"),
    "applied": ("answer", "answer", "answer"),
    "rejected": ("answer", "answer", "answer"),
    "cancelled": ("answer", "answer", "answer"),
}
"""PaymentCaptured and ApplyTopUp. A final answer is repeated whatever the attempt."""

CANCEL: Final[dict[State, Act]] = {
    "held": "call_off",
    "pending": "end",
    "sending": "call_off",
    "failed": "call_off",
    "calling_off": "call_off",
    "undetermined": "call_off",
    "applied": "answer",
    "rejected": "answer",
    "cancelled": "answer",
}
"""CancelTopUp. Where an attempt was made, the carrier calls it off first, if it can. So it does while the
next is pending, where the one before was looked for in vain: what lies unread at a carrier is not found."""

RESOLVE: Final[dict[State, Act]] = {
    "held": "ignore",
    "pending": "ignore",
    "sending": "ignore",
    "failed": "ignore",
    "calling_off": "ignore",
    "undetermined": "decide",
    "applied": "answer",
    "rejected": "answer",
    "cancelled": "answer",
}
"""ResolveTopUp. An operator decides only what could not be learned."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the decision stands on besides the row itself."""

    now: datetime
    known: bool = True
    """Whether the subscription exists. Fresh rows are folded as if; `refuse_unknown` puts it right."""
    cancels: bool = True
    """Whether its carrier can call a top-up off by reference."""


Folded = tuple[TopUp, bool]
"""The decision after the instruction, and whether its answer is to be said (again)."""


@overload
def fold(top_up: TopUp, instruction: Instruction, ground: Ground) -> Folded: ...


@overload
def fold(top_up: TopUp | None, instruction: Instruction, ground: Ground) -> Folded | tuple[None, bool]: ...


def fold(top_up: TopUp | None, instruction: Instruction, ground: Ground) -> Folded | tuple[None, bool]:
    """The decision after one instruction. None where there is no row and none is begun."""
    if isinstance(instruction, StartsEffect):
        return _apply(top_up, instruction, ground)
    timely = ground.now <= instruction.act_before
    if isinstance(instruction, CancelTopUp):
        return _cancel(top_up, instruction, timely, ground)
    return _resolve(top_up, instruction, timely, ground.now)


def _apply(top_up: TopUp | None, instruction: StartsEffect, ground: Ground) -> Folded:
    attempt = _attempt_of(instruction)
    if top_up is None:
        timely = ground.now <= instruction.act_before
        first = TopUp(
            state="pending" if timely else "held",
            attempt=attempt,
            version=1,
            act_before=instruction.act_before,
            ordinal=1 if timely else 0,
        )
        return (first, False) if ground.known or not timely else refuse_unknown(first)
    act = APPLY[top_up.state][1 + _sign(attempt - top_up.attempt)]
    if act == "start":
        return _start(top_up, instruction, attempt, ground)
    return top_up, act == "answer"


def _attempt_of(instruction: StartsEffect) -> int:
    """PaymentCaptured is ApplyTopUp attempt 1, at whichever attempt of its own the payment succeeded."""
    return 1 if isinstance(instruction, PaymentCaptured) else instruction.attempt


def _start(top_up: TopUp, instruction: StartsEffect, attempt: int, ground: Ground) -> Folded:
    if ground.now > instruction.act_before:
        if top_up.state == "held" and attempt == top_up.attempt:
            return top_up, False
        late = _changed(top_up, state="held", attempt=attempt, act_before=instruction.act_before)
        return late, False
    started = _changed(
        top_up,
        state="pending",
        attempt=attempt,
        act_before=instruction.act_before,
        ordinal=top_up.ordinal if top_up.same_ordinal else top_up.ordinal + 1,
        reason=None,
        reached_provider=None,
        retry_after_seconds=None,
    )
    return (started, False) if ground.known else refuse_unknown(started)


def refuse_unknown(top_up: TopUp) -> tuple[TopUp, bool]:
    """For a subscription that does not exist nothing was sent and nothing will be."""
    return _changed(top_up, state="rejected", reason="subscription_unknown"), True


def _cancel(
    top_up: TopUp | None, instruction: CancelTopUp, timely: bool, ground: Ground
) -> Folded | tuple[None, bool]:
    if top_up is None:
        if not timely:
            return None, False
        tombstone = TopUp(
            state="cancelled",
            attempt=instruction.attempt,
            version=1,
            act_before=instruction.act_before,
            cancel_wanted=True,
            reason=instruction.reason,
        )
        return tombstone, True
    act = CANCEL[top_up.state]
    if act == "answer" or not timely:
        return top_up, top_up.state in SPOKEN
    if top_up.ordinal == 0 or (act == "end" and not top_up.same_ordinal):
        return _changed(top_up, state="cancelled", cancel_wanted=True, reason=instruction.reason), True
    return _call_off(_about(top_up, instruction.attempt), instruction.reason, ground.cancels)


def _about(top_up: TopUp, attempt: int) -> TopUp:
    """Called off anew by the saga, what is said from now on is about that: it drops what was said before."""
    return _changed(top_up, attempt=attempt) if attempt > top_up.attempt else top_up


def _call_off(top_up: TopUp, reason: str, cancels: bool) -> Folded:
    if top_up.state == "calling_off":
        if top_up.cancel_wanted:
            return top_up, False
        return _changed(top_up, cancel_wanted=True, reason=reason), False
    if cancels:
        unsure = top_up.state in ("sending", "undetermined")
        return call_off(top_up, unsure=unsure, cancel_wanted=True, reason=reason), False
    if top_up.state in ("failed", "held", "pending"):
        return _changed(top_up, state="cancelled", cancel_wanted=True, reason=reason), True
    if not top_up.cancel_wanted:
        top_up = _changed(top_up, cancel_wanted=True, reason=reason)
    return top_up, top_up.state == "undetermined"


def call_off(top_up: TopUp, *, unsure: bool, cancel_wanted: bool, reason: str) -> TopUp:
    """Begin to make sure, at the carrier, that no attempt will ever be applied."""
    return _changed(
        top_up,
        state="calling_off",
        unsure=unsure,
        cancel_wanted=cancel_wanted,
        reason=reason,
        cancel_ordinal=top_up.cancel_ordinal + 1,
    )


def _resolve(
    top_up: TopUp | None, instruction: ResolveTopUp, timely: bool, now: datetime
) -> Folded | tuple[None, bool]:
    if top_up is None:
        return None, False
    act = RESOLVE[top_up.state]
    if act == "answer":
        return top_up, True
    if act == "ignore" or not timely:
        return top_up, False
    if instruction.decision == "applied":
        # When it ends is not known; the caller adds the validity that was bought.
        return _changed(top_up, state="applied", reason=None, applied_at=now), True
    if top_up.cancel_wanted:
        return _changed(top_up, state="cancelled"), True
    return _changed(top_up, state="rejected", reason="operator_decided"), True


def _changed(top_up: TopUp, **changes: Any) -> TopUp:
    return top_up._replace(version=top_up.version + 1, **changes)


def _sign(difference: int) -> int:
    return (difference > 0) - (difference < 0)
