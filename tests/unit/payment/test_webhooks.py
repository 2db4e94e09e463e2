"""Which webhooks are believed, and what they say."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from pydantic import SecretStr

from services.payment.domain.outcome import Kind, Outcome
from services.payment.webhooks import outcome_of
from shared.http.signatures import Signatures

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOLERANCE = timedelta(minutes=5)
SECRET = "shared with the PSP"
BODY = b'{"type":"payment_intent.succeeded"}'
RENEWAL = UUID("018f2c1e-0000-7000-8000-000000000001")


def header(signed_at: datetime, body: bytes = BODY, secret: str = SECRET) -> str:
    stamp = str(int(signed_at.timestamp()))
    signed = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
    return f"t={stamp},v1={signed.hexdigest()}"


def is_right(given: str | None, body: bytes = BODY, secret: str | None = SECRET) -> bool:
    held = None if secret is None else SecretStr(secret)
    return Signatures(held, TOLERANCE, lambda: NOON).is_right(given, body)


def test_what_the_psp_has_signed_just_now_is_believed() -> None:
    assert is_right(header(NOON))
    assert is_right(header(NOON - TOLERANCE))
    assert is_right(header(NOON + TOLERANCE))


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "t=1,v1=abc",
        header(NOON, b"another body"),
        header(NOON, secret="somebody else's"),
        header(NOON).replace("t=", "t=1"),
        f"t={'9' * 12},v1={'0' * 64}",
        header(NOON - TOLERANCE - timedelta(seconds=1)),
        header(NOON + TOLERANCE + timedelta(seconds=1)),
    ],
)
def test_what_is_not_signed_so_or_too_long_ago_is_not(given: str | None) -> None:
    assert not is_right(given)


def test_without_a_secret_nothing_is_believed() -> None:
    assert not is_right(header(NOON), secret=None)


def event(kind: str, status: str = "succeeded", renewal_id: str = str(RENEWAL)) -> SimpleNamespace:
    subject = SimpleNamespace(
        id="pi_1",
        status=status,
        amount_minor=1500,
        currency="USD",
        payment_intent="pi_0",
        metadata={"renewal_id": renewal_id},
    )
    return SimpleNamespace(type=kind, data=SimpleNamespace(object=subject))


@pytest.mark.parametrize(
    ("kind", "fact", "code"),
    [
        ("payment_intent.succeeded", Kind.CAPTURED, ""),
        ("payment_intent.canceled", Kind.VOIDED, ""),
        ("charge.refunded", Kind.REFUNDED, ""),
        ("refund.failed", Kind.REFUND_RETURNED, ""),
        ("charge.dispute.created", Kind.DISPUTED, "chargeback"),
    ],
)
def test_an_event_states_a_fact_about_one_of_our_renewals(kind: str, fact: Kind, code: str) -> None:
    assert outcome_of(event(kind), "sandbox", NOON) == Outcome(
        RENEWAL,
        fact,
        NOON,
        gateway="sandbox",
        reference="pi_1",
        code=code,
        amount_minor=1500,
        currency="USD",
        object_reference="pi_0",
    )


@pytest.mark.parametrize(
    "said",
    [
        event("payment_intent.created"),
        event("payment_intent.succeeded", renewal_id="of another shop"),
        event("payment_intent.succeeded", status="processing"),
    ],
)
def test_any_other_event_states_none(said: SimpleNamespace) -> None:
    assert outcome_of(said, "sandbox", NOON) is None
