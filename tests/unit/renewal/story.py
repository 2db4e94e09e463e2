"""A renewal told step by step: what comes in, what it says to that, and what it becomes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from services.renewal.domain.due import alarms, next_due_at
from services.renewal.domain.policy import POLICY, Moment, Policy
from services.renewal.domain.renewal import HistoryEntry, Renewal
from services.renewal.domain.saga import Decision, decide
from shared.contracts.fields import DeclineClass, Origin
from shared.contracts.message import Grant, Message, Terms
from shared.contracts.payments import (
    PaymentActionRequired,
    PaymentAttemptFailed,
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    RefundAttemptFailed,
    RefundRejected,
    SurplusRefunded,
)
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.topups import (
    TopUpApplied,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpRejected,
    TopUpUndetermined,
)

T0 = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RENEWAL_ID = UUID("7a9d5d1e-8c6d-5a53-9d3c-1f0f6a7d2b11")
GRANT = Grant(data_bytes=10**9, validity_seconds=86_400, product_code="CU-1GB")
PRICE = 900
Said = TypeVar("Said", bound=Message)


def terms(*methods: str, origin: Origin = "customer") -> Terms:
    return Terms(
        offering_id="cuba-1gb",
        max_amount_minor=1000,
        currency="USD",
        payment_method_ids=methods or ("card-1", "card-2"),
        payer_id="payer-1",
        origin=origin,
    )


def requested(*methods: str, origin: Origin = "customer", policy: Policy = POLICY) -> Renewal:
    """A renewal just admitted at T0."""
    agreed = terms(*methods, origin=origin)
    renewal = Renewal(
        renewal_id=RENEWAL_ID,
        subscription_id="sub-1",
        terms=agreed.model_dump_json(),
        cycle=3,
        requested_at=T0,
        traceparent=None,
        heard_at=T0,
        deadline_at=T0 + timedelta(seconds=policy.deadline_seconds[origin]),
        payment_method_id=agreed.payment_method_ids[0],
    )
    return renewal._replace(next_due_at=next_due_at(renewal, policy))


@dataclass
class Story:
    """Folds messages into one renewal, one second apart, and remembers what was said."""

    renewal: Renewal
    policy: Policy = POLICY
    at: datetime = T0
    said: list[Message] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    last: Decision | None = None

    def when(self, *messages: object) -> "Story":
        for message in messages:
            self.at += timedelta(seconds=1)
            self.last = decide(self.renewal, message, Moment(self.at, self.policy, 0.5))
            self.renewal = self.last.renewal
            self.said += self.last.says
            if self.last.history is not None:
                self.history.append(self.last.history)
        return self

    def later(self, seconds: float) -> "Story":
        self.at += timedelta(seconds=seconds)
        return self

    @property
    def state(self) -> str:
        return self.renewal.state

    def told(self, kind: type[Said]) -> list[Said]:
        """All messages of that class that were said."""
        return [message for message in self.said if isinstance(message, kind)]

    @property
    def just_said(self) -> list[str]:
        """The names of what the last message made it say."""
        assert self.last is not None
        return [type(message).__name__ for message in self.last.says]

    @property
    def waits_for(self) -> dict[str, datetime]:
        """Every timer that is running, and when it fires."""
        return {type(alarm.timer).__name__: alarm.at for alarm in alarms(self.renewal, self.policy)}


class Says:
    """What the authorities say about the renewal of a story, with the least that must be named."""

    def __init__(self, agreed: Terms | None = None) -> None:
        self._terms = agreed or terms()

    def _about(self, version: int, attempt: int = 1) -> dict[str, Any]:
        return {
            "renewal_id": RENEWAL_ID,
            "subscription_id": "sub-1",
            "version": version,
            "attempt": attempt,
            "terms": self._terms,
        }

    def _purchase(self, version: int, attempt: int = 1) -> dict[str, Any]:
        return self._about(version, attempt) | {
            "amount_minor": PRICE,
            "currency": "USD",
            "grant": GRANT,
            "act_before": T0 + timedelta(minutes=15),
        }

    def priced(self) -> RenewalPriced:
        return RenewalPriced(**self._purchase(1), priced_at=T0)

    def rejected(self, reason: str = "price_changed") -> RenewalRejected:
        return RenewalRejected(**self._about(1), reason=reason)

    def captured(self, attempt: int = 1, method: str = "card-1") -> PaymentCaptured:
        return PaymentCaptured(
            **self._purchase(5, attempt), payment_method_id=method, captured_at=T0 + timedelta(seconds=2)
        )

    def declined(
        self, decline_class: DeclineClass = "hard", attempt: int = 1, method: str = "card-1"
    ) -> PaymentDeclined:
        return PaymentDeclined(
            **self._about(2, attempt),
            payment_method_id=method,
            decline_class=decline_class,
            decline_code="do_not_honor",
        )

    def payment_failed(
        self, attempt: int = 1, *, reached: bool = True, retry_after: int | None = None
    ) -> PaymentAttemptFailed:
        return PaymentAttemptFailed(
            **self._about(2, attempt),
            payment_method_id="card-1",
            reason="provider_unavailable",
            reached_provider=reached,
            retry_after_seconds=retry_after,
        )

    def action_required(self, attempt: int = 1) -> PaymentActionRequired:
        return PaymentActionRequired(
            **self._about(2, attempt), payment_method_id="card-1", action_before=T0 + timedelta(minutes=10)
        )

    def payment_cancelled(self, *, unresolved: bool = False) -> PaymentCancelled:
        return PaymentCancelled(**self._about(6), reason="as_asked", unresolved=unresolved)

    def refunded(self) -> PaymentRefunded:
        return PaymentRefunded(
            **self._about(7), amount_minor=PRICE, currency="USD", refunded_at=T0 + timedelta(minutes=1)
        )

    def refund_failed(self, attempt: int = 1) -> RefundAttemptFailed:
        return RefundAttemptFailed(
            **self._about(8, attempt), reason="provider_unavailable", reached_provider=True
        )

    def refund_rejected(self, reason: str = "account_closed", attempt: int = 1) -> RefundRejected:
        return RefundRejected(**self._about(9, attempt), reason=reason)

    def surplus(self, ordinal: int = 1) -> SurplusRefunded:
        return SurplusRefunded(
            **self._about(10), ordinal=ordinal, amount_minor=PRICE, currency="USD", refunded_at=T0
        )

    def disputed(self) -> PaymentDisputed:
        return PaymentDisputed(
            **self._about(11), amount_minor=PRICE, currency="USD", reason="not_received", disputed_at=T0
        )

    def applied(self) -> TopUpApplied:
        return TopUpApplied(
            **self._about(3),
            grant=GRANT,
            amount_minor=PRICE,
            currency="USD",
            cycle=4,
            applied_at=T0 + timedelta(seconds=3),
            expires_at=T0 + timedelta(days=1),
        )

    def top_up_rejected(self) -> TopUpRejected:
        return TopUpRejected(**self._about(3), reason="not_compatible")

    def top_up_failed(self, attempt: int = 1, *, reached: bool = True) -> TopUpAttemptFailed:
        return TopUpAttemptFailed(
            **self._about(2, attempt), reason="carrier_unavailable", reached_provider=reached
        )

    def top_up_cancelled(self) -> TopUpCancelled:
        return TopUpCancelled(**self._about(3), reason="as_asked")

    def undetermined(self, attempt: int = 1) -> TopUpUndetermined:
        return TopUpUndetermined(**self._about(3, attempt), reason="carrier_silent")


def new(*methods: str) -> Story:
    """A renewal just asked for."""
    return Story(requested(*methods))


def captured(*methods: str) -> Story:
    """A renewal whose money has been taken."""
    says = Says()
    return new(*methods).when(says.priced(), says.captured())
