"""The saga of one renewal, and catalog, which answers it: moved by production's matrix.

Production's own: `decide` (every rule, every message that is said), `alarms` (which timers run).
Any timer that runs may fire at any moment. What the row keeps beside: all but its version and the instants
that nothing compares.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from services.renewal.domain import saga
from services.renewal.domain.actions import (
    CustomerCancels,
    CustomerRetries,
    OperatorCancels,
    OperatorRefunds,
    OperatorReleases,
    OperatorResolves,
    OperatorRetries,
    RetryDue,
)
from services.renewal.domain.due import alarms
from services.renewal.domain.policy import Moment
from services.renewal.domain.renewal import CLOSED_STATES, Renewal
from services.renewal.domain.retries import failures
from services.renewal.domain.wording import renewal_requested
from shared.contracts.message import Message
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.renewals import RenewalRequested
from tests.exhaustive.abstraction import FUTURE, NOW, PAST, coarse, plain
from tests.exhaustive.case import CURRENCY, GRANT, POLICY_OF_TWO, RENEWAL, SUBSCRIPTION, Case

_MOMENT: Final = Moment(NOW, POLICY_OF_TWO)
_FINDINGS: Final = ("applied", "not_applied", "captured", "not_captured", "refunded")
_FOUND: Final = {"completed": "applied", "refunded": "not_applied"}
"""What two operators must have found out who close what nobody knew."""


class SagaStep(NamedTuple):
    """Something that reaches the saga without being a letter."""

    kind: type
    name: str
    deviation: str
    """What kind of deviation it is; "" where it is usual."""
    after: Renewal
    says: tuple[Message, ...]
    is_patient: bool = False
    """Time that passes: it costs nothing where nobody has anything left to do."""
    finding: str | None = None
    """What an operator has found out: taken only where it is true."""


class SagaMachine:
    """The steps that the saga can take in one case."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def at_first(self) -> tuple[Renewal, tuple[Message, ...]]:
        """A renewal just admitted, and what is said of it."""
        terms = self.case.terms
        renewal = Renewal(
            renewal_id=RENEWAL,
            subscription_id=SUBSCRIPTION,
            terms=terms.model_dump_json(),
            cycle=0,
            requested_at=NOW,
            traceparent=None,
            heard_at=NOW,
            deadline_at=FUTURE,
            payment_method_id=terms.payment_method_ids[0],
            delayed=self.case.is_told,
        )
        return renewal, (renewal_requested(renewal, _MOMENT),)

    def receives(self, renewal: Renewal, message: object) -> tuple[Renewal, tuple[Message, ...]]:
        decision = saga.decide(renewal, message, _MOMENT)
        return _coarse(decision.renewal), decision.says

    def steps(self, renewal: Renewal) -> Iterator[SagaStep]:
        """Timers and people."""
        for alarm in alarms(renewal, POLICY_OF_TWO):
            after, says = self.receives(renewal, alarm.timer)
            name, is_due = type(alarm.timer).__name__, isinstance(alarm.timer, RetryDue)
            deviation = "" if is_due else "early timer"
            yield SagaStep(type(alarm.timer), name, deviation, after, says, is_patient=not is_due)
        if renewal.state == "requested" and renewal.retry_at == FUTURE:
            waited = renewal._replace(retry_at=NOW)
            yield SagaStep(RetryDue, "a back-off passes unnoticed", "late timer", waited, ())
        if renewal.state == "refunding" and renewal.refund_before == FUTURE:
            spent = renewal._replace(refund_before=PAST)
            yield SagaStep(RetryDue, "the time for refunds has passed", "late timer", spent, ())
        for who, action, finding in self._people(renewal):
            after, says = self.receives(renewal, action)
            if (after, says) != (renewal, ()):
                yield SagaStep(type(action), _called(action), who, after, says, finding=finding)

    def _people(self, renewal: Renewal) -> Iterator[tuple[str, object, str | None]]:
        yield "customer", CustomerCancels("anna"), None
        for method in self.case.methods:
            yield "customer", CustomerRetries("anna", method.payment_method_id), None
        for action in (OperatorRetries, OperatorCancels, OperatorRefunds):
            yield "operator", action("olga"), None
        for finding in _FINDINGS:
            yield "operator", OperatorResolves("olga", finding), finding
        for outcome in CLOSED_STATES:
            found = _FOUND.get(outcome) if renewal.top_up == "undetermined" else None
            yield "release by hand", OperatorReleases("olga", outcome, "as told"), found

    def prices(self, request: RenewalRequested) -> tuple[Message, ...]:
        """Catalog, a pure function of the request: the same question, the same answer."""
        head: dict[str, Any] = {
            "renewal_id": RENEWAL,
            "subscription_id": SUBSCRIPTION,
            "version": 1,
            "terms": request.terms,
        }
        if not self.case.is_sold:
            return (RenewalRejected(**head, reason="price_changed"),)
        head |= {"amount_minor": self.case.amount_minor, "currency": CURRENCY, "grant": GRANT}
        return (RenewalPriced(**head, act_before=request.act_before, priced_at=NOW),)


def _called(action: object) -> str:
    """The action and what it names, without who asks."""
    named = [
        str(getattr(action, name))
        for name in ("payment_method_id", "decision", "outcome")
        if hasattr(action, name)
    ]
    return " ".join([type(action).__name__, *named])


def _coarse(renewal: Renewal) -> Renewal:
    """Without what only counts, and without instants that nothing compares."""
    patience = POLICY_OF_TWO.patience.get(renewal.state)
    endless = patience is None or patience.budget is None
    kept = Renewal(*map(coarse, renewal))._replace(
        version=1,
        heard_at=NOW,
        next_due_at=None,
        promised_from=None,
        deadline_at=FUTURE,
        asked=0 if endless else renewal.asked,
        failures=" ".join(f"{row}:{one.spent}:{one.spent}" for row, one in failures(renewal).items()) or None,
        reason=plain(renewal.reason),
    )
    if renewal.is_open:
        return kept
    # No rule of a closed state reads how it came to that.
    return kept._replace(
        reason=None,
        parked_from=None,
        parked_reason=None,
        payment_attempt=1,
        top_up_attempt=1,
        spent=0,
        failures=None,
        retry_at=None,
        action=None,
        action_before=None,
        top_up=None,
        refund_before=None,
    )
