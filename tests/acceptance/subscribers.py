"""Subscribers as a carrier's back office knows them, and how their card and their carrier will behave.

A card is named by a behaviour of the sandbox's table (`timeout_after_once`), a carrier's by the two digits
that an ICCID carries (deploy/sandbox/README.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.contracts.checks import eid_with_check, luhn_digit
from shared.contracts.customers import CustomerChanged
from shared.contracts.renewal_requests import RequestRenewal
from shared.contracts.usage_records import UsageRecorded

OFFERING = "acc-3gb-30d"
AMOUNT_MINOR = 1_200
CURRENCY = "USD"
DATA_BYTES = 3_000_000_000
CALLER = "acceptance"
BUCKET_BYTES = 1_000
RECORD_BYTES = 600  # two of them exhaust the bucket, one alone triggers nothing


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One subscription with its owner and the owner's cards, in the order in which they pay."""

    number: int
    cards: tuple[str, ...] = ("ok",)
    carrier_code: str = "00"
    is_verified: bool = True
    is_bound: bool = True
    status: str = "active"
    has_rule: bool = False
    """A small bucket from before, and a rule that renews when it is used up."""
    has_number: bool = True
    """False where a version is asked that knows no telephone numbers yet."""

    @property
    def subscription_id(self) -> str:
        return f"acc-{self.number}"

    @property
    def customer_id(self) -> str:
        return f"acc-customer-{self.number}"

    @property
    def payment_method_ids(self) -> list[str]:
        return [f"acc-card-{self.number}-{place}" for place in range(1, len(self.cards) + 1)]

    @property
    def iccid(self) -> str:
        digits = f"8999990{self.carrier_code}{self.number:09d}"
        return digits + luhn_digit(digits)

    @property
    def imei(self) -> str:
        digits = f"35{self.number:012d}"
        return digits + luhn_digit(digits)

    @property
    def msisdn(self) -> str:
        return f"+5399{self.number:08d}"

    # What is told over HTTP and Kafka

    def subscription(self) -> dict[str, Any]:
        number = {"msisdn": self.msisdn} if self.has_number else {}
        return number | {
            "brand": "acceptance",
            "carrier": "sandbox",
            "iccid": self.iccid,
            "eid": eid_with_check(f"89{self.number:028d}"),
            "bound_imei": self.imei if self.is_bound else None,
            "owner_id": self.customer_id,
            "status": self.status,
        }

    def payment_methods(self) -> list[dict[str, Any]]:
        return [
            {
                "payment_method_id": method_id,
                "payer_id": self.customer_id,
                "kind": "card",
                "token": f"tok_{behaviour}_{self.number}",
            }
            for method_id, behaviour in zip(self.payment_method_ids, self.cards, strict=True)
        ]

    def customer(self) -> CustomerChanged:
        return CustomerChanged(
            customer_id=self.customer_id, version=1, identity_verified=self.is_verified, country="ES"
        )

    def bucket(self) -> dict[str, Any]:
        return {
            "granted_bytes": BUCKET_BYTES,
            "remaining_bytes": BUCKET_BYTES,
            "expires_at": (datetime.now(UTC) + timedelta(days=5)).isoformat(),
        }

    def rule(self) -> dict[str, Any]:
        return {
            "triggers": ["exhausted", "threshold"],
            "offering_id": OFFERING,
            "payment_method_ids": self.payment_method_ids,
            "cap_amount_minor": AMOUNT_MINOR,
            "currency": CURRENCY,
        }

    # What they ask for

    def wish(self, **changes: Any) -> dict[str, Any]:
        """The body of POST /v1/renewals."""
        return {
            "subscription_id": self.subscription_id,
            "offering_id": OFFERING,
            "expected_amount_minor": AMOUNT_MINOR,
            "currency": CURRENCY,
            "payment_method_ids": self.payment_method_ids,
        } | changes

    def request(self, name: str) -> RequestRenewal:
        """The same as another system says it on `renewal-requests.v1`; its id is `<name>-<number>`."""
        return RequestRenewal(
            caller=CALLER,
            request_id=f"{name}-{self.number}",
            subscription_id=self.subscription_id,
            offering_id=OFFERING,
            expected_amount_minor=AMOUNT_MINOR,
            currency=CURRENCY,
            payment_method_ids=tuple(self.payment_method_ids),
            act_before=datetime.now(UTC) + timedelta(minutes=10),
        )

    def use(self, record_id: str, size: int = RECORD_BYTES) -> UsageRecorded:
        """What the network measured: `size` bytes, just now."""
        now = datetime.now(UTC)
        return UsageRecorded(
            source="acceptance",
            record_id=f"{self.number}-{record_id}",
            iccid=self.iccid,
            imei=self.imei,
            bytes_up=0,
            bytes_down=size,
            started_at=now - timedelta(seconds=60),
            ended_at=now,
        )
