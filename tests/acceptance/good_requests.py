"""A request that is taken, for every operation of every API that reads a body; bad ones are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from deploy.local.ports import SERVICES
from tests.acceptance.subscribers import AMOUNT_MINOR, CURRENCY, DATA_BYTES, OFFERING, Subscriber

Body = dict[str, Any]
KEYED: Final = frozenset({"/v1/renewals", "/v1/wallets/{payer_id}/{currency}/deposits"})
"""Paths that want an Idempotency-Key."""

WRONG_CHECK_DIGITS: Final = {
    "iccid": "8953012004711902834",
    "eid": "89049032005522113344778899001204",
    "bound_imei": "353289114829073",
}
WHY: Final = "The carrier confirmed it by telephone."
PAYERS: Final = "/v1/customer-actions"
TEXTS: Final = "/v1/text-messages/{gateway}"
UNKNOWN: Final = "01234567-89ab-7def-8123-456789abcdef"
MAY_BE_EMPTY: Final = frozenset({"text"})
"""What a person has sent, even if it was nothing."""
ABSURD_NUMBERS: Final = (-1, 10**30, 1.5)


@dataclass(frozen=True, slots=True)
class GoodRequest:
    """Method, path template and address of an operation, with a body that it takes."""

    service: str
    method: str
    template: str
    path: str
    body: Body
    required: frozenset[str]

    @property
    def operation(self) -> tuple[str, str, str]:
        return self.service, self.method, self.template

    @property
    def is_an_operators(self) -> bool:
        return "/operator/" in self.template or self.template == "/v1/cut-over"

    @property
    def is_bulk(self) -> bool:
        return self.template.endswith("/bulk")


def good_requests(subscriber: Subscriber, renewal_id: str) -> list[GoodRequest]:
    """All of them, about a subscriber that the services know."""
    id_ = subscriber.subscription_id
    own, method = f"acc-{subscriber.number}", subscriber.payment_method_ids[0]
    offering: Body = {
        "name": "Cuba 1 GB",
        "plan": "data",
        "destination": "CU",
        "data_bytes": DATA_BYTES,
        "validity_seconds": 86_400,
        "stacking": "extend",
        "product_code": "CU-1GB",
        "brands": ["acceptance"],
        "subscription_statuses": ["active"],
        "status": "on_sale",
    }
    price = {
        "currency": CURRENCY,
        "amount_minor": AMOUNT_MINOR,
        "effective_from": (datetime.now(UTC) + timedelta(days=300)).isoformat(),
    }
    device = {"make": "Acme", "model": "One", "esim_supported": True}
    card = {"payer_id": subscriber.customer_id, "kind": "card", "token": f"tok_ok_{own}"}
    subscription = subscriber.subscription()
    wish, rule, bucket = subscriber.wish(), subscriber.rule(), subscriber.bucket() | {"cycle": 0}
    bucket["expires_at"] = "2027-01-01T00:00:00Z"
    report = {
        "source": "acceptance",
        "report_id": own,
        "iccid": subscription["iccid"],
        "remaining_bytes": 5,
        "expires_at": "2027-01-01T00:00:00Z",
        "reported_at": "2026-01-01T00:00:00Z",
    }
    tac = f"{subscriber.number % 10**8:08d}"

    def one(service: str, method: str, template: str, body: Body, *optional: str, **path: str) -> GoodRequest:
        return GoodRequest(
            service, method, template, template.format(**path), body, frozenset(body) - set(optional)
        )

    def operator(decision: str, **body: str) -> GoodRequest:
        template = f"/v1/renewals/{{renewal_id}}/operator/{decision}"
        seen = body | {"version": 1, "why": WHY}
        return one("renewal", "POST", template, seen, renewal_id=renewal_id)

    def proposal(decision: str) -> GoodRequest:
        template = f"/v1/operator/proposals/{{proposal_id}}/{decision}"
        return one("renewal", "POST", template, {"why": WHY}, proposal_id=UNKNOWN)

    def review(decision: str) -> GoodRequest:
        template = f"/v1/operator/reviews/{{renewal_id}}/{decision}"
        return one("renewal", "POST", template, {"version": 1, "why": WHY}, renewal_id=UNKNOWN)

    def keys_set_aside(service: str) -> list[GoodRequest]:
        """What every service takes about keys that were set aside."""
        keys, proposals = "/v1/operator/set-aside", "/v1/operator/set-aside-proposals"
        one_key, version = f"{keys}/{{consumer}}/{{key_id}}", "0123456789ab"
        seen = {"consumer": "records", "keys": [{"key_id": "none", "version": version}], "why": WHY}
        record = {"version": version, "topic": "prices.v1", "partition": 0, "offset": 0, "why": WHY}
        held = {"version": version, "why": WHY}
        return [
            one(service, "POST", f"{keys}/release", seen),
            one(service, "POST", f"{one_key}/discard", record, consumer="records", key_id="none"),
            one(service, "POST", f"{one_key}/hold", held, consumer="records", key_id="none"),
            one(service, "POST", f"{proposals}/{{proposal_id}}/approve", {"why": WHY}, proposal_id=UNKNOWN),
            one(service, "POST", f"{proposals}/{{proposal_id}}/reject", {"why": WHY}, proposal_id=UNKNOWN),
        ]

    ruled = "/v1/subscriptions/{subscription_id}/renewal-rule"
    mandates = "/v1/subscriptions/{subscription_id}/mandates/{mandate_id}"
    consent = {
        "payer_id": subscriber.customer_id,
        "text_version": "2026-11",
        "text_sha256": "ab" * 32,
        "channel": "app",
        "given_at": "2026-11-01T10:00:00Z",
        "language": "es-CU",
        "max_amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY,
        "valid_until": "2036-11-01T10:00:00Z",
    }
    stop = {"kind": "carrier", "name": "nobody", "why": WHY}
    rule_job = {"action": "pause", "filter": {"brand": "nobody"}, "why": WHY}
    # Made from a version that never was: a real one would decide who is live for all other tests.
    cut_over = {
        "replaces": 2**31 - 1,
        "percent": 100,
        "shares": [{"brand": "nobody", "percent": 0}],
        "live": ["sub-nobody"],
        "shadow": ["sub-nobody-else"],
        "why": WHY,
    }
    entry = {
        "destination": "ZZ",
        "payer_country": "ZZ",
        "method_kind": "card",
        "verdict": "allow",
        "why": WHY,
    }
    bulk_job = {"action": "cancel", "filter": {"brand": "nobody"}, "why": WHY}

    defaults = ("plan", "stacking", "brands", "subscription_statuses", "status")
    return [
        *(request for service in SERVICES for request in keys_set_aside(service)),
        one("renewal", "POST", "/v1/renewals", wish),
        one("renewal", "POST", "/v1/renewals/bulk", wish | {"request_id": f"{own}-bulk"}),
        one(
            "renewal",
            "POST",
            "/v1/renewals/{renewal_id}/pay",
            {"payment_method_id": method},
            renewal_id=renewal_id,
        ),
        GoodRequest(
            "renewal",
            "POST",
            PAYERS,
            f"{PAYERS}?token=none-that-was-sent",
            {"payment_method_id": method},
            frozenset({"payment_method_id"}),
        ),
        one(
            "renewal",
            "POST",
            TEXTS,
            {"message_id": own, "sender": subscriber.msisdn, "text": "What is this?"},
            gateway="sandbox",
        ),
        one("renewal", "PUT", ruled, rule, subscription_id=id_),
        one("renewal", "POST", f"{ruled}/pause", {"why": WHY}, subscription_id=id_),
        one("renewal", "POST", f"{ruled}/resume", {"why": WHY}, subscription_id=id_),
        one("renewal", "PUT", mandates, consent, "valid_until", subscription_id=id_, mandate_id=own),
        one(
            "renewal",
            "POST",
            "/v1/mandates/bulk",
            consent | {"subscription_id": id_, "mandate_id": f"{own}-bulk"},
            "valid_until",
        ),
        one("renewal", "POST", f"{mandates}/revoke", {"why": WHY}, subscription_id=id_, mandate_id=own),
        one("renewal", "POST", "/v1/operator/rule-jobs", rule_job),
        one(
            "renewal",
            "POST",
            "/v1/operator/rule-jobs/{job_id}/start",
            {"why": WHY, "rules": 1},
            job_id=UNKNOWN,
        ),
        one("renewal", "POST", "/v1/operator/rule-jobs/{job_id}/stop", {"why": WHY}, job_id=UNKNOWN),
        one("renewal", "PUT", "/v1/cut-over", cut_over, "shares", "live", "shadow"),
        operator("act", action="retry"),
        operator("refund"),
        operator("resolve", found="applied"),
        operator("release", outcome="failed"),
        proposal("approve"),
        proposal("reject"),
        one("renewal", "POST", "/v1/operator/jobs", bulk_job),
        one("renewal", "POST", "/v1/operator/charge-stops", stop),
        one("renewal", "POST", "/v1/operator/charge-stops/resume", stop),
        one(
            "renewal",
            "PUT",
            "/v1/operator/acceptance/{destination}/{payer_country}/{method_kind}",
            {"verdict": "allow", "why": WHY},
            destination="ZZ",
            payer_country="ZZ",
            method_kind="paypal",
        ),
        one("renewal", "POST", "/v1/operator/acceptance/bulk", entry),
        review("approve"),
        review("refuse"),
        one(
            "renewal", "POST", "/v1/operator/jobs/{job_id}/start", {"why": WHY, "renewals": 1}, job_id=UNKNOWN
        ),
        one("renewal", "POST", "/v1/operator/jobs/{job_id}/stop", {"why": WHY}, job_id=UNKNOWN),
        one("renewal", "POST", "/v1/renewal-rules/bulk", rule | {"subscription_id": id_}),
        one("catalog", "PUT", "/v1/offerings/{offering_id}", offering, *defaults, offering_id=own),
        one("catalog", "POST", "/v1/offerings/bulk", offering | {"offering_id": own}, *defaults),
        one(
            "catalog",
            "PUT",
            "/v1/offerings/{offering_id}/prices/{price_id}",
            price,
            offering_id=OFFERING,
            price_id=own,
        ),
        one("catalog", "POST", "/v1/prices/bulk", price | {"offering_id": OFFERING, "price_id": own}),
        one("catalog", "PUT", "/v1/devices/{tac}", device, tac=tac),
        one("catalog", "POST", "/v1/devices/bulk", device | {"tac": tac}),
        one(
            "catalog",
            "PUT",
            "/v1/platforms/{platform}",
            {"minimum_system_version": "17.1"},
            platform="acceptance",
        ),
        one("payment", "PUT", "/v1/payment-methods/{payment_method_id}", card, payment_method_id=own),
        one("payment", "POST", "/v1/payment-methods/bulk", card | {"payment_method_id": own}),
        one("payment", "POST", "/v1/wallets/bulk", {"payer_id": own, "currency": CURRENCY}),
        one(
            "payment",
            "POST",
            "/v1/wallets/{payer_id}/{currency}/deposits",
            {"amount_minor": 5},
            payer_id=own,
            currency=CURRENCY,
        ),
        one(
            "provisioning",
            "PUT",
            "/v1/subscriptions/{subscription_id}",
            subscription,
            "bound_imei",
            "status",
            "msisdn",
            subscription_id=id_,
        ),
        one(
            "provisioning",
            "PATCH",
            "/v1/subscriptions/{subscription_id}",
            {"status": "active"},
            subscription_id=id_,
        ),
        one(
            "provisioning",
            "POST",
            "/v1/subscriptions/bulk",
            subscription | {"subscription_id": id_},
            "bound_imei",
            "status",
            "msisdn",
        ),
        one(
            "usage",
            "PUT",
            "/v1/subscriptions/{subscription_id}/buckets/{bucket_id}",
            bucket,
            "cycle",
            subscription_id=id_,
            bucket_id="good",
        ),
        one(
            "usage",
            "POST",
            "/v1/buckets/bulk",
            bucket | {"subscription_id": id_, "bucket_id": "good"},
            "cycle",
        ),
        one(
            "usage",
            "PUT",
            "/v1/carriers/{carrier}",
            {"counting": "records", "overrun": "written_off", "threshold_percent": 10, "version": 0},
            "overrun",
            "threshold_percent",
            carrier=own,
        ),
        one("usage", "POST", "/v1/balance-reports/bulk", report, "expires_at"),
    ]


def bad_bodies(good: GoodRequest) -> Iterator[tuple[str, Body]]:
    """Bodies that differ from the good one in one thing that is wrong."""
    yield "an unknown field", good.body | {"colour": "red"}
    for field, value in good.body.items():
        if field in good.required:
            yield f"{field} missing", {name: kept for name, kept in good.body.items() if name != field}
            yield f"{field} null", good.body | {field: None}
        for wrong in _wrong(field, value):
            yield f"{field} {str(wrong)[:40]!r}", good.body | {field: wrong}


def _wrong(field: str, value: Any) -> Iterator[Any]:
    yield {"no": "value"}
    if field in WRONG_CHECK_DIGITS:
        yield WRONG_CHECK_DIGITS[field]
    if isinstance(value, bool):
        yield from ("yes", 1, [])
    elif isinstance(value, int):
        yield from (*ABSURD_NUMBERS, str(value), True, [])
    elif isinstance(value, str):
        yield from (5, True, [value], "nul \x00", "x" * 10_000)
        if field not in MAY_BE_EMPTY:
            yield ""
    elif isinstance(value, list):
        yield from (5, "text", [5], [{}], [""], ["x" * 10_000], ["acceptance"] * 1_000)
