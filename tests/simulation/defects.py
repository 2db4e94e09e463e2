"""Deliberate defects in the services, made in memory: each must be caught by the promise that it breaks.

Each is what a careless change would do. The seeds must find it, or the promise is not watched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from unittest.mock import patch

from services.payment import archive as payment_archive
from services.payment.domain import answers, commands, decisions, facts, outcomes, results
from services.payment.domain.payment import Change, Decision, Payment
from services.payment.webhooks import Signatures
from services.provisioning.topups.domain import attempt, findings
from services.renewal import wiring as renewal_wiring
from services.renewal.domain import endings
from shared.contracts.payment_commands import CancelPayment
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
    kinds: frozenset[str] = frozenset()
    """Some fault of these has to strike for it to show; empty: any, or none."""
    net_off: str | None = None
    """The safety net that would make up for it."""
    replays: bool = False

    def may_show(self, plan: Plan) -> bool:
        """Whether it can show itself in that plan."""
        struck = not self.kinds or bool(self.kinds & plan.kinds)
        off = self.net_off is None or self.net_off in plan.nets_off
        return struck and off and (plan.replays or not self.replays)


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


def _drop_the_fence() -> Replaced:
    """A worker that lost its lease is believed, also where it brings a negative answer."""
    fold = outcomes.fold_outcome

    def unfenced(payment: Any, outcome: Any, now: Any, patience: Any) -> Any:
        if outcome.claim is not None:
            outcome = outcome._replace(claim=payment.claim, ordinal=payment.ordinal)
        return fold(payment, outcome, now, patience)

    return _everywhere(fold, unfenced)


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


def _take_absence_for_a_no() -> Replaced:
    """What the carrier does not find yet will never be there."""
    long_ago = datetime(2000, 1, 1).astimezone()
    return _everywhere(attempt.absence_is_certain_at, lambda *_: long_ago)


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


def _try_a_refund_for_a_week() -> Replaced:
    """The payer waits for longer than the sum of all budgets."""
    policy_of = renewal_wiring.policy_of
    week = timedelta(days=7).total_seconds()
    return [(renewal_wiring, "policy_of", lambda settings: replace(policy_of(settings), refund_seconds=week))]


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
    "drop-the-fence": Defect(_drop_the_fence, 7, ""),
    "decide-twice": Defect(_decide_twice, 1, "decided 2 times"),
    "silence-is-a-capture": Defect(_take_silence_for_a_capture, 2, "nothing is paid for it"),
    "keep-the-surplus": Defect(_keep_the_surplus, 4, "was not sent back"),
    "owe-the-wallet": Defect(_owe_the_wallet, 4, "the wallet of"),
    "believe-every-webhook": Defect(_believe_every_webhook, 7, "a forged webhook was believed"),
    "silence-is-a-failure": Defect(_take_silence_for_a_failure, 1, "top-ups are applied"),
    "absence-is-a-no": Defect(_take_absence_for_a_no, 1, "top-ups are applied"),
    "refund-early": Defect(_refund_before_the_top_up_is_cancelled, 3, "a refund was sent before"),
    "park-early": Defect(_park_at_the_first_silence, 5, "parked without need"),
    "refund-for-a-week": Defect(_try_a_refund_for_a_week, 5, "only after"),
    "forget-before-acknowledgement": Defect(_forget_before_the_acknowledgement, 6, "were never published"),
    "read-on": Defect(_read_on_after_a_failure, 5, "still "),
    "forget-the-archive": Defect(_forget_what_is_archived, 6, "reading everything again changed it"),
}
"""By the name that `--defect` takes."""
