"""Deliberate defects: the search must find each by a promise that it breaks, or it proves nothing.

Each replaces one function of production, in memory, as a careless change would.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, Final
from unittest.mock import patch

from services.payment.domain import answers, calls, commands, decisions, facts
from services.payment.domain.capabilities import Capabilities as PspCapabilities
from services.payment.domain.commands import Circumstances, Command, fold_command
from services.payment.domain.outcome import Outcome
from services.payment.domain.payment import Change, Decision, Operation, Patience, Payment
from services.payment.gateways import psp
from services.provisioning.topups.domain import findings, instructions
from services.provisioning.topups.domain.attempt import Attempt, Capabilities
from services.provisioning.topups.domain.attempt import Patience as TopUpPatience
from services.provisioning.topups.domain.findings import Finding, Known, Settled
from services.provisioning.topups.domain.instructions import Folded, Ground
from services.provisioning.topups.domain.top_up import TopUp
from services.renewal.domain import endings, payment_rules
from services.renewal.domain.change import Change as SagaChange
from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import Renewal
from shared.contracts.payment_commands import CancelPayment
from shared.contracts.topup_commands import CancelTopUp
from tests.exhaustive.abstraction import ANY_OTHER, PAST
from tests.exhaustive.case import ABLE, ABLE_CARRIER, Case
from tests.exhaustive.search import STUCK


@dataclass(frozen=True)
class Defect:
    """What is done wrong, what has to go wrong beside for it to show, and what is broken then."""

    name: str
    prices: tuple[str, ...]
    deviations: int
    broken: str
    module: ModuleType
    function: str
    instead: object
    carrier: Capabilities = ABLE_CARRIER
    psp: PspCapabilities = ABLE

    @property
    def case(self) -> Case:
        prices = dict.fromkeys(self.prices, 1)
        return Case("defect", self.name, self.deviations, prices=prices, carrier=self.carrier, psp=self.psp)

    @contextmanager
    def made(self) -> Iterator[None]:
        """Production with the defect in it."""
        with patch.object(self.module, self.function, self.instead):
            yield


_settle, _surplus_found, _call_off = findings.settle, facts.surplus_found, instructions.call_off
_cancel_payment, _cancel_top_up = commands._cancel, instructions._cancel


def _without_fence(top_up: TopUp, attempt: Attempt, finding: Finding, _claim: int, known: Known) -> Settled:
    return _settle(top_up, attempt._replace(ended=False), finding, attempt.claim, known)


def _time_out_as_failure(
    top_up: TopUp, attempt: Attempt, finding: Finding, claim: int, known: Known
) -> Settled:
    kind = "failed" if finding.kind == "unknown" and attempt.operation == "apply" else finding.kind
    return _settle(top_up, attempt, finding._replace(kind=kind), claim, known)


def _refusal_believed(top_up: TopUp, **asked: Any) -> TopUp:
    return _call_off(top_up, **{**asked, "unsure": False})


def _always_certain(_send_before: datetime, _carrier: Capabilities, _patience: TopUpPatience) -> datetime:
    return PAST - timedelta(days=1)


def _refund_at_once(renewal: Renewal, reason: str, moment: Moment, detail: str | None = None) -> SagaChange:
    return endings.refund(renewal, reason, moment)._replace(detail=detail)


def _surplus_as_capture(
    payment: Payment, outcome: Outcome, now: datetime, patience: Patience
) -> Change | None:
    change = _surplus_found(payment, outcome, now, patience)
    if change is None or payment.decision is Decision.CAPTURED:
        return change
    return decisions.captured(change.payment, now)


def _surplus_kept(payment: Payment, _now: datetime, _patience: Patience) -> Change:
    return Change(payment)


def _nothing_left_by_payment(
    payment: Payment | None, command: CancelPayment, circumstances: Circumstances
) -> Change | None:
    return None if payment is None else _cancel_payment(payment, command, circumstances)


def _nothing_left_by_provisioning(
    top_up: TopUp | None, instruction: CancelTopUp, timely: bool, ground: Ground
) -> Folded | tuple[None, bool]:
    return (None, False) if top_up is None else _cancel_top_up(top_up, instruction, timely, ground)


def _key_of_the_first(payment: Payment, operation: Operation, _payment_method_id: object) -> bool:
    return operation is Operation.CAPTURE and bool(payment.capture_ordinal)


def _always_quiet(*_asked: object) -> bool:
    return True


def _second_decision(
    payment: Payment | None, command: Command, circumstances: Circumstances
) -> Change | None:
    if isinstance(command, CancelPayment) and payment is not None and payment.decision is Decision.CAPTURED:
        return Change(payment, messages=(answers.cancelled(payment, command.reason, unresolved=False),))
    return fold_command(payment, command, circumstances)


DEFECTS: Final = (
    Defect(
        "bad news of a lost lease is believed",
        ("zombie", "no connection"),
        2,
        "applied 2 times",
        findings,
        "settle",
        _without_fence,
        Capabilities(honours_keys=False, visibility_seconds=20.0),
    ),
    Defect(
        "a time-out is taken for a failure, so that the next attempt has a new key",
        ("answer lost",),
        1,
        "applied 2 times",
        findings,
        "settle",
        _time_out_as_failure,
    ),
    Defect(
        "not found is taken as no, however early it was asked",
        ("crash",),
        1,
        "applied 2 times",
        findings,
        "absence_is_certain_at",
        _always_certain,
        Capabilities(honours_keys=False, visibility_seconds=20.0),
    ),
    Defect(
        "a cancellation ends what is on its way to the carrier",
        ("early timer",),
        1,
        "TopUpCancelled was said, and it was applied",
        instructions,
        "CANCEL",
        instructions.CANCEL | {"sending": "end"},
    ),
    Defect(
        "the refund is sent before TopUpCancelled",
        ("early timer",),
        1,
        "a refund was begun before TopUpCancelled or TopUpRejected",
        endings,
        "cancel_top_up",
        _refund_at_once,
    ),
    Defect(
        "a second decision is said",
        ("early timer",),
        1,
        "payment said PaymentCaptured and PaymentCancelled",
        commands,
        "fold_command",
        _second_decision,
    ),
    Defect(
        "money found after PaymentCancelled is published as a capture",
        ("answer lost",),
        2,
        "payment said PaymentCaptured and PaymentCancelled",
        facts,
        "surplus_found",
        _surplus_as_capture,
    ),
    Defect(
        "a refusal is believed where it could not be called off",
        ("late top-up", "no connection"),
        3,
        "TopUpRejected was said, and it was applied",
        findings,
        "call_off",
        _refusal_believed,
    ),
    Defect(
        "a cancellation before the price leaves no tombstone",
        ("early timer",),
        1,
        "a payment began that had been called off before",
        commands,
        "_cancel",
        _nothing_left_by_payment,
    ),
    Defect(
        "a cancellation before the capture leaves no tombstone",
        ("early timer",),
        1,
        "a top-up began that had been called off before",
        instructions,
        "_cancel",
        _nothing_left_by_provisioning,
    ),
    Defect(
        "who was declined is charged again under the key of the decline",
        ("soft decline",),
        2,
        "charged again under the same key",
        calls,
        "_keeps_ordinal",
        _key_of_the_first,
    ),
    Defect(
        "nothing found at the PSP is taken as no, however early it was asked",
        ("request delayed",),
        1,
        "an attempt counts as failed while its request may still work",
        psp,
        "is_quiet",
        _always_quiet,
        psp=replace(ABLE, honours_keys=False),
    ),
    Defect(
        "a refund that was refused is taken for one that came back",
        ("top-up refused", "refund refused", "refunded elsewhere"),
        3,
        "told to have come back that did not",
        payment_rules,
        "_RETURNED",
        ANY_OTHER,
    ),
    Defect("a surplus is kept", ("answer lost",), 2, STUCK, facts, "next_surplus", _surplus_kept),
)
