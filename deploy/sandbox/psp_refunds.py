"""The PSP's refunds: never more than was captured, and sometimes they fail, at once or later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from . import fields
from .behaviours import of_token
from .exchange import SECOND, Document, Effect, Refusal, Reply, error_reply, instant_text, json_reply
from .state import Call, Route

if TYPE_CHECKING:  # psp.py holds the state and names these routes in its table
    from .psp import Intent, PspState


@dataclass(slots=True)
class Refund:
    """Money going back. `moved`: it has left the PSP, so a failure brings it back."""

    id: str
    intent_id: str
    amount_minor: int
    currency: str
    metadata: dict[str, str]
    renewal_id: str | None
    created_at: int
    status: str = "pending"
    failure_reason: str | None = None
    moved: bool = False


def refund_view(refund: Refund) -> Document:
    return {
        "id": refund.id,
        "object": "refund",
        "status": refund.status,
        "payment_intent": refund.intent_id,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "metadata": refund.metadata,
        "failure_reason": refund.failure_reason,
        "created_at": instant_text(refund.created_at),
    }


def create_refund(state: PspState, call: Call) -> Reply:
    intent = state.intents.get(fields.text(call.document, "payment_intent"))
    if intent is None:
        raise Refusal(404, "resource_missing", "No such payment_intent.", param="payment_intent")
    left = intent.amount_minor - intent.refunded_minor
    amount = left
    if call.document.get("amount_minor") is not None:
        amount = fields.integer(call.document, "amount_minor")
    metadata = fields.metadata(call.document)
    call.reference, call.subject = intent.renewal_id, intent.token
    call.amount, call.unit = amount, intent.currency
    refused = _refused(intent, amount, left)
    if refused is not None:
        return refused
    chosen = of_token(intent.token) if intent.token else None
    if chosen is not None and chosen[0].forgets:
        call.remember = False
    if chosen is not None and chosen[0].refund != "accept":
        call.shown = state.shows(call, chosen, intent.renewal_id or intent.id)
    refund = Refund(
        state.new_id("re"), intent.id, amount, intent.currency, metadata, intent.renewal_id, call.now
    )
    state.refunds[refund.id] = refund
    state.refunds_of.setdefault(intent.id, []).append(refund.id)
    call.id = refund.id
    intent.refunded_minor += amount
    _decide(state, call, intent, refund)
    return json_reply(200, refund_view(refund))


def _refused(intent: Intent, amount: int, left: int) -> Reply | None:
    if intent.status != "succeeded":
        return error_reply(400, "payment_intent_unexpected_state", "Nothing was captured: nothing to refund.")
    if intent.disputed:
        return error_reply(400, "charge_disputed", "The charge is disputed: its money is not here any more.")
    if left == 0:
        return error_reply(400, "charge_already_refunded", "The whole charge was refunded before.")
    if amount > left:
        return error_reply(400, "amount_too_large", f"At most {left} can still be refunded.")
    return None


def _decide(state: PspState, call: Call, intent: Intent, refund: Refund) -> None:
    later = call.now + call.shown.delay_us
    match call.shown.behaviour.refund:
        case "fail":
            _fail(state, call.now, call.operation, call.key, intent, refund)
        case "accept_then_fail":
            _settle(state, call.now, call.operation, call.key, intent, refund)
            state.schedule(later, "refund_fails", refund.id)
        case "later_accept":
            state.schedule(later, "refund_settles", refund.id)
        case "later_fail":
            state.schedule(later, "refund_fails", refund.id)
        case _:
            _settle(state, call.now, call.operation, call.key, intent, refund)


def refund_due(state: PspState, at: int, what: str, id_: str) -> None:
    refund = state.refunds[id_]
    intent = state.intents[refund.intent_id]
    if what == "refund_settles":
        _settle(state, at, "late", None, intent, refund)
    else:
        _fail(state, at, "late", None, intent, refund)


def _settle(
    state: PspState, at: int, operation: str, key: str | None, intent: Intent, refund: Refund
) -> None:
    refund.status, refund.moved = "succeeded", True
    _note(state, at, operation, key, intent, refund, "refunded", refund.amount_minor)
    state.emit("charge.refunded", refund_view(refund), at)


def _fail(state: PspState, at: int, operation: str, key: str | None, intent: Intent, refund: Refund) -> None:
    """The money is the PSP's again. The effect's amount is what came back: 0 if nothing had left."""
    refund.status, refund.failure_reason = "failed", "expired_or_canceled_card"
    intent.refunded_minor -= refund.amount_minor
    returned = refund.amount_minor if refund.moved else 0
    _note(state, at, operation, key, intent, refund, "refund_failed", returned)
    state.emit("refund.failed", refund_view(refund), at)


def _note(
    state: PspState,
    at: int,
    operation: str,
    key: str | None,
    intent: Intent,
    refund: Refund,
    effect: str,
    amount: int,
) -> None:
    state.effects.append(
        Effect(
            at,
            operation,
            key,
            refund.renewal_id,
            intent.token,
            amount,
            refund.currency,
            refund.status,
            effect,
            refund.id,
        )
    )


def get_refund(state: PspState, call: Call) -> Reply:
    refund = state.refunds.get(call.id)
    if refund is None:
        raise Refusal(404, "resource_missing", f"No such refund: {call.id[:64]}.", param="id")
    call.reference, call.amount, call.unit = refund.renewal_id, refund.amount_minor, refund.currency
    return json_reply(200, refund_view(refund))


def list_refunds(state: PspState, call: Call) -> Reply:
    """Newest first, of one payment intent."""
    intent_id = call.query.get("payment_intent")
    if not intent_id:
        raise fields.invalid("payment_intent", "given: refunds are listed by payment intent")
    limit = fields.page_limit(call.query)
    horizon = call.now - int(state.capabilities.visible_after_seconds * SECOND)
    found = [state.refunds[id_] for id_ in reversed(state.refunds_of.get(intent_id, []))]
    seen = [refund_view(refund) for refund in found if refund.created_at <= horizon]
    return json_reply(200, {"object": "list", "data": seen[:limit], "has_more": len(seen) > limit})


_REFUND = frozenset({"payment_intent", "amount_minor", "metadata"})
REFUND_ROUTES: Final = {
    "POST /v1/refunds": Route("create_refund", create_refund, _REFUND),
    "GET /v1/refunds": Route("list_refunds", list_refunds, needs="can_query"),
    "GET /v1/refunds/*": Route("get_refund", get_refund, needs="can_query"),
}
