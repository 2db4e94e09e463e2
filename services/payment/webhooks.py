"""What the PSP says unasked. Believed only where its signature is right, and then only for facts."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.payment import metrics
from services.payment.authority import Authority
from services.payment.domain.outcome import Kind, Outcome
from services.payment.methods import store as methods
from shared.contracts.fields import AmountMinor, Currency, Id
from shared.http.body import Answer
from shared.http.problems import Problem
from shared.http.signatures import Signatures
from shared.messaging.transaction import Transaction, Transactions
from shared.observability.logging import get_logger

MAX_WEBHOOK_BYTES = 65_536
_FACTS = {
    "payment_intent.succeeded": Kind.CAPTURED,
    "payment_intent.canceled": Kind.VOIDED,
    "charge.refunded": Kind.REFUNDED,
    "refund.failed": Kind.REFUND_RETURNED,
    "charge.dispute.created": Kind.DISPUTED,
}
"""Events that state a fact. Any other is left alone: who made the call learns it from its answer."""
_log = get_logger(__name__)


class _Subject(BaseModel):
    """The intent or the refund an event is about; what we do not use is ignored."""

    model_config = ConfigDict(extra="ignore")

    id: Id
    status: str = Field("", max_length=64)
    amount_minor: AmountMinor
    currency: Currency
    payment_intent: Id | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class _Content(BaseModel):
    object: _Subject


class _Event(BaseModel):
    """An event as the PSP sends it."""

    type: str = Field(max_length=100)
    data: _Content


class _Card(BaseModel):
    """A method by the PSP's name for it, its token."""

    id: str = Field(min_length=1, max_length=255)


class _CardContent(BaseModel):
    object: _Card


class _CardRenewed(BaseModel):
    """The card's network sent the PSP other details, and its token stands for them: its account updater."""

    type: Literal["payment_method.automatically_updated"]
    data: _CardContent


class Received(Answer):
    """What became of the webhook: recorded, ignored, or of a renewal that is not known here."""

    result: str


def routes(
    transactions: Transactions, authority: Authority, gateway: str, signatures: Signatures
) -> APIRouter:
    """The route by which the PSP `gateway` brings its events, signed in the header Sandbox-Signature."""
    router = APIRouter(prefix="/v1", tags=["webhooks"])

    @router.post("/webhooks/psp", status_code=HTTPStatus.ACCEPTED)
    async def receive(
        request: Request, sandbox_signature: Annotated[str | None, Header(max_length=200)] = None
    ) -> Received:
        """An event of the PSP. The same event may come any number of times."""
        body = await request.body()
        if len(body) > MAX_WEBHOOK_BYTES:
            metrics.webhook("too_large")
            raise _too_large()
        if not signatures.is_right(sandbox_signature, body):
            metrics.webhook("forged")
            _log.warning("webhook_refused", reason="signature", size_bytes=len(body))
            raise _forged()
        result = await _record(body)
        metrics.webhook(result)
        return Received(result=result)

    async def _record(body: bytes) -> str:
        try:
            event = _Event.model_validate_json(body)
        except ValidationError:
            return await _renew_card(body)

        async def work(transaction: Transaction) -> str:
            outcome = outcome_of(event, gateway, transaction.now)
            if outcome is None:
                return "ignored"
            recorded = await authority.record(transaction, [outcome], room=0)
            return "unknown_renewal" if recorded.unknown else "recorded"

        return await transactions.run(work)

    async def _renew_card(body: bytes) -> str:
        try:
            event = _CardRenewed.model_validate_json(body)
        except ValidationError:
            # Signed by the PSP, so not an attack: an event of a kind that we do not read.
            return "unreadable"

        async def work(transaction: Transaction) -> str:
            token = event.data.object.id
            forgotten = await methods.forget_declines(transaction.connection, gateway, token)
            return "recorded" if forgotten else "ignored"

        return await transactions.run(work)

    return router


def outcome_of(event: Any, gateway: str, now: datetime) -> Outcome | None:
    """The fact that an event states about one of our renewals; None where it states none."""
    kind, subject = _FACTS.get(event.type), event.data.object
    renewal_id = _renewal_id(subject.metadata.get("renewal_id", ""))
    if kind is None or renewal_id is None:
        return None
    if kind is Kind.CAPTURED and subject.status != "succeeded":
        return None
    return Outcome(
        renewal_id,
        kind,
        now,
        gateway=gateway,
        reference=subject.id,
        code="chargeback" if kind is Kind.DISPUTED else "",
        amount_minor=subject.amount_minor,
        currency=subject.currency,
        object_reference=subject.payment_intent,
    )


def _renewal_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _forged() -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        type="webhook-signature-invalid",
        title="The webhook is not signed by the PSP",
        detail="The header Sandbox-Signature is missing, wrong or too old for this body, so it was not read. "
        "Sign the exact bytes with the secret both sides hold, and set the clock.",
    )


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        type="webhook-too-large",
        title="The webhook is too large",
        detail=f"A webhook has at most {MAX_WEBHOOK_BYTES} bytes, so this one was not read.",
    )
