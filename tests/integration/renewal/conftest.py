"""renewal at work on real servers, and everything that it is told by others."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from services.renewal import settings, wiring
from shared.clock import utc_now
from shared.contracts.checks import eid_with_check, luhn_digit
from shared.contracts.customers import CustomerChanged
from shared.contracts.message import Grant, Terms
from shared.contracts.offerings import OfferingChanged
from shared.contracts.payment_methods import PaymentMethodChanged
from shared.contracts.payments import (
    PaymentCancelled,
    PaymentCaptured,
    PaymentDeclined,
    PaymentDisputed,
    PaymentRefunded,
    RefundRejected,
    SurplusRefunded,
)
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.contracts.quotas import QuotaExhausted
from shared.contracts.renewal_requests import RequestRenewal
from shared.contracts.renewals import RenewalRequested
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.topups import TopUpApplied, TopUpRejected, TopUpUndetermined
from shared.operators.tokens import Role, sign
from tests.conftest import FreshDatabase
from tests.integration.wired import Wired, wired

OFFERING = "cuba-1gb"
GRANT = Grant(data_bytes=10**9, validity_seconds=86_400, product_code="CU-1GB")
PRICE = 900
SECRET = SecretStr("signs operators' tokens in this test run only")
LINK_SECRET = SecretStr("a secret of these tests, which signs links")
TEXT_GATEWAY = "sms-a"
TEXT_SECRET = "a secret of these tests, which signs text messages"
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A subscription whose owner pays with two cards: nobody else's in the test run."""

    number: int

    @property
    def subscription_id(self) -> str:
        return f"sub-{self.number}"

    @property
    def owner_id(self) -> str:
        return f"owner-{self.number}"

    @property
    def cards(self) -> tuple[str, str]:
        return f"card-{self.number}-a", f"card-{self.number}-b"

    def subscription(self, version: int = 1, **different: Any) -> SubscriptionChanged:
        iccid = f"8953{self.number:014d}"
        imei = f"35{self.number:012d}"
        return SubscriptionChanged(
            subscription_id=self.subscription_id,
            version=version,
            brand="ola",
            carrier="cubacel",
            iccid=iccid + luhn_digit(iccid),
            eid=eid_with_check("890490320000000000000000000000"),
            bound_imei=imei + luhn_digit(imei),
            owner_id=self.owner_id,
            status="active",
            top_ups=0,
            changed_at=utc_now(),
        ).model_copy(update=different)

    def customer(self, version: int = 1, *, verified: bool = True) -> CustomerChanged:
        return CustomerChanged(customer_id=self.owner_id, version=version, identity_verified=verified)

    def card(self, which: int, version: int = 1, **different: Any) -> PaymentMethodChanged:
        return PaymentMethodChanged(
            payment_method_id=self.cards[which],
            version=version,
            payer_id=self.owner_id,
            kind="card",
            status="active",
        ).model_copy(update=different)

    def request(self, request_id: str = "r-1", **different: Any) -> RequestRenewal:
        return RequestRenewal(
            caller="crm",
            request_id=f"{self.subscription_id}-{request_id}",
            subscription_id=self.subscription_id,
            offering_id=OFFERING,
            expected_amount_minor=1000,
            currency="USD",
            payment_method_ids=self.cards,
            act_before=utc_now() + timedelta(minutes=5),
        ).model_copy(update=different)

    def body(self, **different: Any) -> dict[str, Any]:
        return {
            "subscription_id": self.subscription_id,
            "offering_id": OFFERING,
            "expected_amount_minor": 1000,
            "currency": "USD",
            "payment_method_ids": list(self.cards),
        } | different

    def exhausted(self, cycle: int = 0) -> QuotaExhausted:
        return QuotaExhausted(
            subscription_id=self.subscription_id, cycle=cycle, remaining_bytes=0, occurred_at=utc_now()
        )

    def rule(self, **different: Any) -> dict[str, Any]:
        return {
            "triggers": ["exhausted"],
            "offering_id": OFFERING,
            "payment_method_ids": list(self.cards),
            "cap_amount_minor": 950,
            "currency": "USD",
        } | different

    def mandate(self, **different: Any) -> dict[str, Any]:
        """The body that records the owner's consent, to 20 dollars a charge."""
        return {
            "payer_id": self.owner_id,
            "text_version": "2026-11",
            "text_sha256": "ab" * 32,
            "channel": "app",
            "given_at": "2026-11-01T10:00:00Z",
            "language": "es-CU",
            "max_amount_minor": 2000,
            "currency": "USD",
        } | different


def offering(offering_id: str = OFFERING, version: int = 1, **different: Any) -> OfferingChanged:
    return OfferingChanged(
        offering_id=offering_id,
        version=version,
        name="Cuba 1 GB",
        destination="CU",
        data_bytes=10**9,
        validity_seconds=86_400,
        stacking="extend",
        product_code="CU-1GB",
        status="on_sale",
    ).model_copy(update=different)


class About:
    """What the authorities say about one renewal, as they would."""

    def __init__(self, requested: RenewalRequested) -> None:
        self._about: dict[str, Any] = {
            "renewal_id": requested.renewal_id,
            "subscription_id": requested.subscription_id,
            "terms": requested.terms,
        }
        self._purchase: dict[str, Any] = self._about | {
            "amount_minor": PRICE,
            "currency": "USD",
            "grant": GRANT,
            "act_before": requested.act_before,
        }

    @property
    def renewal_id(self) -> UUID:
        found: UUID = self._about["renewal_id"]
        return found

    @property
    def terms(self) -> Terms:
        found: Terms = self._about["terms"]
        return found

    def priced(self) -> RenewalPriced:
        return RenewalPriced(**self._purchase, version=1, priced_at=utc_now())

    def rejected(self, amount_minor: int | None = None) -> RenewalRejected:
        return RenewalRejected(**self._about, version=1, reason="price_changed", amount_minor=amount_minor)

    def captured(self) -> PaymentCaptured:
        method = self.terms.payment_method_ids[0]
        return PaymentCaptured(**self._purchase, version=2, payment_method_id=method, captured_at=utc_now())

    def declined(self, attempt: int = 1) -> PaymentDeclined:
        return PaymentDeclined(
            **self._about,
            version=attempt,
            attempt=attempt,
            payment_method_id=self.terms.payment_method_ids[0],
            decline_class="hard",
            decline_code="lost_card",
        )

    def payment_cancelled(self) -> PaymentCancelled:
        return PaymentCancelled(**self._about, version=3, reason="as_asked")

    def refunded(self) -> PaymentRefunded:
        return PaymentRefunded(
            **self._about, version=4, amount_minor=PRICE, currency="USD", refunded_at=utc_now()
        )

    def applied(self, cycle: int = 1) -> TopUpApplied:
        return TopUpApplied(
            **self._about,
            version=2,
            grant=GRANT,
            amount_minor=PRICE,
            currency="USD",
            cycle=cycle,
            applied_at=utc_now(),
            expires_at=utc_now() + timedelta(days=1),
        )

    def top_up_rejected(self) -> TopUpRejected:
        return TopUpRejected(**self._about, version=2, reason="not_compatible")

    def refund_rejected(self, reason: str = "refund_returned", attempt: int = 1) -> RefundRejected:
        return RefundRejected(**self._about, version=5, attempt=attempt, reason=reason)

    def disputed(self) -> PaymentDisputed:
        return PaymentDisputed(
            **self._about,
            version=9,
            amount_minor=PRICE,
            currency="USD",
            reason="chargeback",
            disputed_at=utc_now(),
        )

    def surplus_refunded(self, ordinal: int) -> SurplusRefunded:
        return SurplusRefunded(
            **self._about,
            version=9 + ordinal,
            ordinal=ordinal,
            amount_minor=PRICE,
            currency="USD",
            refunded_at=utc_now(),
        )

    def undetermined(self) -> TopUpUndetermined:
        return TopUpUndetermined(**self._about, version=2, reason="carrier_silent")


def someone() -> Subscriber:
    """Somebody whom no other test knows."""
    return Subscriber(next(_numbers))


async def known(renewal: Wired, how_many: int = 1) -> list[Subscriber]:
    """Subscribers of whom everybody has told us what admission asks."""
    people = [someone() for _ in range(how_many)]
    told = [
        message
        for one in people
        for message in (one.subscription(), one.customer(), one.card(0), one.card(1))
    ]
    await renewal.consume("projections", offering(), *told)
    return people


async def begun(renewal: Wired, *people: Subscriber) -> list[About]:
    """A renewal asked for by each of them, as it was announced."""
    await renewal.consume("admission", *(one.request() for one in people))
    announced = {said.subscription_id: said for said in renewal.said(RenewalRequested)}
    return [About(announced[one.subscription_id]) for one in people]


async def row(renewal: Wired, renewal_id: UUID) -> dict[str, Any]:
    """The renewal's row."""
    found = await renewal.pool.fetchrow("select * from renewals where renewal_id = $1", renewal_id)
    assert found is not None
    return dict(found)


@pytest.fixture(scope="module")
async def renewal(
    fresh_database: FreshDatabase, kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Wired]:
    url = await fresh_database("renewal")
    secret = tmp_path_factory.mktemp("secrets") / "operator"
    secret.write_text(SECRET.get_secret_value())
    links = secret.with_name("customer-link")
    links.write_text(LINK_SECRET.get_secret_value())
    texts = secret.with_name("text-messages")
    texts.write_text(TEXT_SECRET)
    told = settings.Settings(
        database_url=url,
        operator_secret_file=secret,
        customer_link_secret_file=links,
        text_message_secret_files={TEXT_GATEWAY: texts},
    )
    async with wired(
        lambda transactions: wiring.build(told, transactions), url, kafka_bootstrap, "renewal"
    ) as service:
        yield service


def signed_in(name: str = "ana", role: Role = "operator") -> dict[str, str]:
    """The header that says which operator sends a request."""
    return {"authorization": f"Bearer {sign(SECRET, name, role, utc_now(), timedelta(hours=1))}"}


def after(seconds: float) -> datetime:
    return utc_now() + timedelta(seconds=seconds)
