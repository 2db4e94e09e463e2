"""What every cell with a rule does to a renewal in the midst of things, column by column, as text.

`cells.txt` holds it as it was looked through; after a wanted change, look through it again:
`python -m tests.unit.renewal.cells` writes it anew, and the difference is to be read.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from services.renewal.domain.actions import CustomerRetries, OperatorReleases, OperatorResolves
from services.renewal.domain.change import Ignored
from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import STATES, Renewal, State
from services.renewal.domain.saga import MATRIX, decide
from shared.contracts.message import Message
from shared.contracts.payments import PaymentCancelled, PaymentCaptured, PaymentDeclined
from shared.contracts.prices import RenewalPriced
from shared.contracts.topups import TopUpRejected
from tests.unit.renewal.story import PRICE, T0, Says
from tests.unit.renewal.test_matrix import AT, SAMPLES, little_known, standing

FILE: Final = Path(__file__).with_suffix(".txt")
SAYS: Final = Says()
OTHERS: Final = (
    SAYS.captured(3, "card-2"),
    SAYS.declined("soft"),
    SAYS.declined("needs_customer"),
    SAYS.declined("hard", 1, "card-2"),
    SAYS.payment_failed(reached=False, retry_after=77),
    SAYS.payment_failed(2),
    SAYS.payment_cancelled(unresolved=True),
    SAYS.refund_failed(2),
    SAYS.refund_rejected(),
    SAYS.refund_rejected(attempt=2),
    SAYS.top_up_failed(reached=False),
    SAYS.top_up_failed(2),
    SAYS.undetermined(2),
    CustomerRetries("ana", "card-1"),
    *(OperatorResolves("otto", found) for found in ("not_applied", "captured", "not_captured", "refunded")),
    *(OperatorReleases("otto", to, "looked") for to in ("completed", "failed", "cancelled")),
)
"""Beside one sample of each message."""
LEARNED: Final = frozenset({RenewalPriced, PaymentCaptured, PaymentCancelled, PaymentDeclined, TopUpRejected})
"""Messages whose rules ask what is known already."""
UNSAID: Final = frozenset({"renewal_id", "subscription_id", "terms", "grant", "amount_minor", "currency"})
"""Fields of a message that are copied from the renewal, whatever it says."""


def busy(state: State) -> Renewal:
    """In that state with something in every column that a rule could touch or should have left."""
    return standing(state)._replace(
        asked=1,
        spent=1,
        failures="*:1:1",
        retry_at=T0 + timedelta(seconds=9),
        heard_at=T0 + timedelta(seconds=5),
        priced_at=None if state == "requested" else T0 + timedelta(seconds=1),
        amount_minor=None if state == "requested" else PRICE - 1,
        action_before=T0 + timedelta(seconds=99) if state == "awaiting_customer" else None,
        promised_from=T0 + timedelta(seconds=7),
        flags="seen",
    )


def rejected_before(state: State) -> Renewal:
    """Provisioning has refused already, and a refund was tried."""
    return busy(state)._replace(
        top_up="rejected", parked_from="refunding", parked_reason="refund_rejected", reason=None
    )


def cells() -> Iterator[str]:
    """One paragraph per cell, message and circumstance, where something happens."""
    for message in (*SAMPLES.values(), *OTHERS):
        for state in STATES:
            if isinstance(MATRIX[type(message)][state], Ignored):
                continue
            known = {"": busy(state)}
            if type(message) in LEARNED and state not in ("priced", "captured"):
                known[", little known"] = little_known(state)
            if state in ("captured", "parked"):
                known[", top-up rejected"] = rejected_before(state)
            for circumstance, renewal in known.items():
                lines = list(_effect(renewal, message))
                if lines:
                    yield "\n".join([f"{_named(message)} while {state}{circumstance}", *lines])


def _named(message: object) -> str:
    """The message, and what tells it from others of its kind."""
    telling = ("attempt", "decline_class", "reason", "reached_provider", "unresolved", "payment_method_id")
    values = [getattr(message, name, None) for name in (*telling, "decision", "outcome")]
    return " ".join([type(message).__name__, *(str(value) for value in values if value is not None)])


def _effect(before: Renewal, message: object) -> Iterator[str]:
    decision = decide(before, message, Moment(AT, POLICY, 0.5))
    if decision.history is None:
        return
    columns = zip(Renewal._fields, before, decision.renewal, strict=True)
    changes = [f"{name} {_short(was)} > {_short(is_now)}" for name, was, is_now in columns if was != is_now]
    yield f"    {', '.join(changes)}"
    history = decision.history
    alarm = ", with an alarm" if decision.alarm else ""
    yield f"    because {history.reason}: {history.detail}{alarm} (attempt {history.attempt})"
    for said in decision.says:
        yield f"    says {_said(said)}"


def _said(message: Message) -> str:
    told = {name: value for name, value in message if name not in UNSAID}
    return " ".join([type(message).__name__, *(f"{name}={_short(value)}" for name, value in told.items())])


def _short(value: object) -> str:
    if isinstance(value, datetime):
        return f"{(value - T0).total_seconds():+g}s"
    return "{...}" if str(value).startswith("{") else str(value)


if __name__ == "__main__":
    FILE.write_text("\n\n".join(cells()) + "\n", encoding="utf-8")
