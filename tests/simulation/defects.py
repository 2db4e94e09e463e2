"""Deliberate defects in the services, made in memory: each must be caught by the promise that it breaks.

Each is what a careless change would do. The seeds must find it, or the promise is not watched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

from services.payment import archive as payment_archive
from services.payment.domain import answers, calls, commands, decisions, facts, results
from services.payment.domain.payment import Change, Decision, Payment
from services.provisioning.topups.domain import findings
from services.renewal import wiring as renewal_wiring
from services.renewal.domain import endings
from shared.contracts.payment_commands import CancelPayment
from shared.http.signatures import Signatures
from shared.messaging.consumer import ConsumerLoop
from shared.messaging.outbox import Outbox
from tests.simulation.plan import Plan

Replaced = list[tuple[Any, str, Any]]
"""Owner, name, and what stands there instead."""


@dataclass(frozen=True)
class Defect:
    """What is done wrong, the promise that is broken by it, and the words by which that is told."""

    make: Callable[[], Replaced]
    promise: int
    told: str
    may_show: Callable[[Plan], bool] = bool
    """Whether it can show itself in that plan."""


@contextmanager
def made(name: str | None) -> Iterator[None]:
    """The services with the defect of that name in them; None: as they are."""
    with ExitStack() as undone:
        for owner, member, replacement in DEFECTS[name].make() if name is not None else ():
            undone.enter_context(patch.object(owner, member, replacement))
        yield


def _everywhere(original: Callable[..., Any], replacement: Callable[..., Any]) -> Replaced:
    """In every module of the services that knows the function by a name of its own."""
    return [
        (module, name, replacement)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("services.")
        for name, member in list(vars(module).items())
        if member is original
    ]


# -- payment ----------------------------------------------------------------------------------------


def _decide_twice() -> Replaced:
    """A cancellation is granted although PaymentCaptured was said."""
    fold = commands.fold_command

    def twice(payment: Any, command: Any, circumstances: Any) -> Any:
        if isinstance(command, CancelPayment) and payment and payment.decision is Decision.CAPTURED:
            return Change(payment, messages=(answers.cancelled(payment, command.reason, unresolved=False),))
        return fold(payment, command, circumstances)

    return _everywhere(fold, twice)


def _take_silence_for_a_capture() -> Replaced:
    """A capture that was not answered is published as one that worked."""

    def hoped(payment: Payment, _outcome: Any, now: datetime, _patience: Any) -> Change:
        return decisions.captured(payment, now)

    return _everywhere(results._capture_unknown, hoped)


def _keep_the_surplus() -> Replaced:
    """Money found beside the decision is written down, and never sent back."""
    return _everywhere(facts.next_surplus, lambda payment, _now, _patience: Change(payment))


def _call_for_a_person_at_once() -> Replaced:
    """A refund of unknown outcome is given to a person, who can only wait as payment could."""
    return _everywhere(calls.tried_for, lambda _payment, _now, patience: patience.refund)


def _owe_the_wallet() -> Replaced:
    """A refund to a wallet is published, and the wallet is as empty as before."""
    refunded = decisions.refunded

    def forgotten(payment: Any, at: Any) -> Any:
        change = refunded(payment, at)
        change.wallet_minor = 0
        return change

    return _everywhere(refunded, forgotten)


def _believe_every_webhook() -> Replaced:
    """Nobody looks at the signature."""
    return [(Signatures, "is_right", lambda *_: True)]


# -- provisioning -----------------------------------------------------------------------------------


def _take_silence_for_a_failure() -> Replaced:
    """A top-up whose order was not answered is ordered again, under a new key."""
    settle = findings.settle

    def hasty(top_up: Any, one: Any, finding: Any, claim: int, known: Any) -> Any:
        if finding.kind == "unknown" and one.operation == "apply":
            finding = finding._replace(kind="failed")
        return settle(top_up, one, finding, claim, known)

    return _everywhere(settle, hasty)


# -- renewal ----------------------------------------------------------------------------------------


def _refund_before_the_top_up_is_cancelled() -> Replaced:
    """The money goes back at once, while the carrier may still grant the data."""

    def at_once(renewal: Any, reason: str, moment: Any, _detail: str | None = None) -> Any:
        return endings.refund(renewal, reason, moment)

    return _everywhere(endings.cancel_top_up, at_once)


def _park_at_the_first_silence() -> Replaced:
    """A person is called where asking once more would have done."""
    policy_of = renewal_wiring.policy_of

    def impatient(settings: Any) -> Any:
        policy = policy_of(settings)
        silence = {state: replace(one, budget=0, when_spent="park") for state, one in policy.patience.items()}
        return replace(policy, patience=silence)

    return [(renewal_wiring, "policy_of", impatient)]


# -- what they share --------------------------------------------------------------------------------


def _forget_before_the_acknowledgement() -> Replaced:
    """An outbox row is deleted although Kafka has not acknowledged its events."""
    publish = Outbox.publish

    async def careless(self: Outbox, envelopes: Any, batch: Any) -> None:
        if batch is not None:
            self._acknowledged.append(batch)
        await publish(self, envelopes, batch)

    return [(Outbox, "publish", careless)]


def _read_on_after_a_failure() -> Replaced:
    """A batch that failed is not read again. Where the saga's timers run, they make up for it."""
    return [(ConsumerLoop, "_seek_back", lambda _self, _records: None)]


def _forget_what_is_archived() -> Replaced:
    """A payment that lies in the archive counts as one that was never heard of."""

    async def nothing(_connection: Any, _renewal_ids: Any) -> dict[Any, Any]:
        return {}

    return [(payment_archive, "_lock", nothing)]


DEFECTS: Final = {
    "decide-twice": Defect(_decide_twice, 1, "decided 2 times"),
    "silence-is-a-failure": Defect(_take_silence_for_a_failure, 1, "top-ups are applied"),
    "silence-is-a-capture": Defect(_take_silence_for_a_capture, 2, "nothing is paid for it"),
    "refund-early": Defect(_refund_before_the_top_up_is_cancelled, 3, "a refund was sent before"),
    "keep-the-surplus": Defect(
        _keep_the_surplus,
        4,
        "was not sent back",
        lambda plan: any("seconds" in rule for rule in plan.rules.get("psp", ())),
    ),
    "owe-the-wallet": Defect(_owe_the_wallet, 4, "the wallet of"),
    "call-a-person-at-once": Defect(_call_for_a_person_at_once, 5, "a refund of unknown outcome, after"),
    "park-early": Defect(_park_at_the_first_silence, 5, "parked without need"),
    "read-on": Defect(_read_on_after_a_failure, 5, "still ", lambda plan: "timers" in plan.nets_off),
    "forget-before-acknowledgement": Defect(_forget_before_the_acknowledgement, 6, "were never published"),
    "forget-the-archive": Defect(
        _forget_what_is_archived, 6, "reading everything again changed it", lambda plan: plan.replays
    ),
    "believe-every-webhook": Defect(
        _believe_every_webhook,
        7,
        "a forged webhook was believed",
        lambda plan: "psp.webhook_forged" in plan.kinds,
    ),
}
"""By the name that `--defect` takes."""
