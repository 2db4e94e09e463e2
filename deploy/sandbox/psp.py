"""The PSP: payment intents and what becomes of them. Refunds are next door in psp_refunds.py.

Pure functions on a `PspState`: (state, call) -> reply, with effects and webhooks left in the state.
One intent is captured at most once, whatever is asked of it; cancelling it means it never will be.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from . import fields
from .behaviours import OK_ALWAYS, Chosen, of_token
from .exchange import SECOND, Document, Effect, Refusal, Reply, error_reply, instant_text, json_reply
from .faults import FaultProfile, door_reply
from .gateway import Gateway
from .psp_refunds import REFUND_ROUTES, Refund, refund_due
from .state import OK_FIRING, Call, Route, State

LARGEST_AMOUNT: Final = 10**12
CONFIRMABLE: Final = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
CAPTURABLE: Final = CONFIRMABLE | {"processing"}


@dataclass(slots=True)
class Intent:
    """One payment to be made. `token` is the card in use; `refunded_minor` includes pending refunds."""

    id: str
    amount_minor: int
    currency: str
    token: str | None
    metadata: dict[str, str]
    created_at: int
    status: str
    renewal_id: str | None
    charge_id: str | None = None
    next_action: Document | None = None
    last_payment_error: Document | None = None
    refunded_minor: int = 0
    disputed: bool = False


@dataclass(slots=True)
class PspState(State):
    intents: dict[str, Intent] = field(default_factory=dict)
    by_renewal: dict[str, list[str]] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    refunds_of: dict[str, list[str]] = field(default_factory=dict)


def intent_view(intent: Intent) -> Document:
    return {
        "id": intent.id,
        "object": "payment_intent",
        "status": intent.status,
        "amount_minor": intent.amount_minor,
        "currency": intent.currency,
        "payment_method": intent.token,
        "metadata": intent.metadata,
        "last_payment_error": intent.last_payment_error,
        "latest_charge": intent.charge_id,
        "next_action": intent.next_action,
        "amount_refunded_minor": intent.refunded_minor,
        "created_at": instant_text(intent.created_at),
    }


def create_intent(state: PspState, call: Call) -> Reply:
    document = call.document
    amount = fields.integer(document, "amount_minor", most=LARGEST_AMOUNT)
    currency = fields.currency(document)
    token = fields.optional_text(document, "payment_method")
    chosen = _card(token) if token is not None else None
    metadata = fields.metadata(document)
    confirm = fields.flag(document, "confirm")
    renewal_id = metadata.get("renewal_id")
    call.reference, call.subject, call.amount, call.unit = renewal_id, token, amount, currency
    if confirm:
        if token is None or chosen is None:
            raise fields.invalid("payment_method", "given when `confirm` is true")
        call.shown = state.shows(call, chosen, renewal_id or token)
        if call.shown.behaviour.door:
            call.remember = False
            return door_reply(call.shown)
    elif call.shown.behaviour.decision != "accept":
        call.shown = OK_FIRING  # a fault about charging has nothing to act on
    elif chosen is not None and chosen[0].forgets:
        call.remember = False
    intent = Intent(
        state.new_id("pi"),
        amount,
        currency,
        token,
        metadata,
        call.now,
        "requires_payment_method" if token is None else "requires_confirmation",
        renewal_id,
    )
    state.intents[intent.id] = intent
    if renewal_id is not None:
        state.by_renewal.setdefault(renewal_id, []).append(intent.id)
    call.id = intent.id
    if confirm and token is not None:
        return _decide(state, call, intent, token)
    return json_reply(200, intent_view(intent))


def confirm_intent(state: PspState, call: Call) -> Reply:
    intent = _find(state, call)
    given = fields.optional_text(call.document, "payment_method")
    token = given or intent.token
    if given is not None:
        _card(given)
    call.subject = token
    if intent.status not in CONFIRMABLE:
        return _unexpected_state(intent, "confirmed")
    if token is None:
        raise fields.invalid("payment_method", "given: the intent has none")
    call.shown = state.shows(call, _card(token), intent.renewal_id or intent.id)
    if call.shown.behaviour.door:
        call.remember = False
        return door_reply(call.shown)
    return _decide(state, call, intent, token)


def _decide(state: PspState, call: Call, intent: Intent, token: str) -> Reply:
    """What the bank says to this charge, by the behaviour's decision."""
    intent.token = token
    firing = call.shown
    behaviour = firing.behaviour
    later = call.now + firing.delay_us
    match behaviour.decision:
        case "accept":
            _capture(state, call.now, intent, call.operation, call.key)
        case "accept_then_dispute":
            _capture(state, call.now, intent, call.operation, call.key)
            state.schedule(later, "dispute", intent.id)
        case "refuse":
            return _decline(state, call, intent)
        case "refuse_then_accept":
            state.schedule(later, "capture", intent.id, token)
            return _decline(state, call, intent)
        case "ask":
            intent.status = "requires_action"
            intent.next_action = {
                "type": "redirect_to_url",
                "redirect_to_url": {"url": f"/v1/payment_intents/{intent.id}/authenticate"},
            }
        case "later_accept" | "later_refuse":
            intent.status, intent.next_action = "processing", None
            due = "capture" if behaviour.decision == "later_accept" else "decline"
            state.schedule(later, due, intent.id, token)
        case "unseen_then_accept":
            state.schedule(later, "capture", intent.id, token)
        case _:  # "fail"
            return error_reply(500, "internal", "Something broke: nothing was done.", kind="api_error")
    return json_reply(200, intent_view(intent))


def _capture(state: PspState, at: int, intent: Intent, operation: str, key: str | None) -> None:
    intent.status = "succeeded"
    intent.charge_id = state.new_id("ch")
    intent.next_action = intent.last_payment_error = None
    _note(state, at, intent, operation, key, "captured", intent.amount_minor)
    _announce(state, at, intent, "payment_intent.succeeded")


def _decline(state: PspState, call: Call, intent: Intent) -> Reply:
    behaviour = call.shown.behaviour
    error = _fail_charge(state, call.now, intent, behaviour.code, behaviour.detail)
    return error_reply(
        402,
        error["code"],
        error["message"],
        kind="card_error",
        decline_code=error["decline_code"],
        payment_intent=intent_view(intent),
    )


def _fail_charge(state: PspState, at: int, intent: Intent, code: str, detail: str) -> Document:
    error: Document = {
        "type": "card_error",
        "code": code or "card_declined",
        "decline_code": detail or "generic_decline",
        "message": "The bank wants the customer." if code == "authentication_required" else "Declined.",
        "payment_method": intent.token,
    }
    intent.last_payment_error = error
    intent.status, intent.next_action = "requires_payment_method", None
    _announce(state, at, intent, "payment_intent.payment_failed")
    intent.token = None  # as Stripe: another confirmation must name a method again
    return error


def cancel_intent(state: PspState, call: Call) -> Reply:
    intent = _find(state, call)
    fields.optional_text(call.document, "cancellation_reason")
    if intent.status in ("succeeded", "processing"):
        return _unexpected_state(intent, "cancelled")
    if intent.status != "canceled":
        intent.status, intent.next_action = "canceled", None
        _note(state, call.now, intent, call.operation, call.key, "cancelled", intent.amount_minor)
        _announce(state, call.now, intent, "payment_intent.canceled")
    return json_reply(200, intent_view(intent))


def authenticate_intent(state: PspState, call: Call) -> Reply:
    """The customer comes back from the bank's page: {"outcome": "succeeded" | "failed"}."""
    intent = _find(state, call)
    outcome = fields.choice(call.document, "outcome", ("succeeded", "failed"))
    if intent.status != "requires_action":
        return _unexpected_state(intent, "authenticated")
    if outcome == "succeeded":
        _capture(state, call.now, intent, call.operation, call.key)
    else:
        _fail_charge(
            state, call.now, intent, "payment_intent_authentication_failure", "authentication_failed"
        )
    return json_reply(200, intent_view(intent))


def get_intent(state: PspState, call: Call) -> Reply:
    return json_reply(200, intent_view(_find(state, call)))


def list_intents(state: PspState, call: Call) -> Reply:
    """Newest first, of one renewal; an intent is found `visible_after_seconds` after it was made."""
    renewal_id = call.query.get("renewal_id")
    if not renewal_id:
        raise fields.invalid("renewal_id", "given: intents are listed by renewal")
    call.reference = renewal_id
    limit = fields.page_limit(call.query)
    horizon = call.now - int(state.capabilities.visible_after_seconds * SECOND)
    found = [state.intents[id_] for id_ in reversed(state.by_renewal.get(renewal_id, []))]
    seen = [intent_view(intent) for intent in found if intent.created_at <= horizon]
    return json_reply(200, {"object": "list", "data": seen[:limit], "has_more": len(seen) > limit})


def on_due(state: PspState, at: int, what: str, id_: str, token: str) -> None:
    """What time brings: captures and declines that were announced late, disputes, refunds that settle."""
    if what.startswith("refund"):
        refund_due(state, at, what, id_)
        return
    intent = state.intents[id_]
    if what == "dispute" and intent.refunded_minor < intent.amount_minor:
        intent.disputed = True
        _note(state, at, intent, "late", None, "disputed", intent.amount_minor - intent.refunded_minor)
        _announce(state, at, intent, "charge.dispute.created")
    elif what == "capture" and intent.status in CAPTURABLE:
        intent.token = token
        _capture(state, at, intent, "late", None)
    elif what == "decline" and intent.status == "processing":
        _fail_charge(state, at, intent, "card_declined", "generic_decline")


def _find(state: PspState, call: Call) -> Intent:
    intent = state.intents.get(call.id)
    if intent is None:
        raise Refusal(404, "resource_missing", f"No such payment_intent: {call.id[:64]}.", param="id")
    call.reference, call.subject = intent.renewal_id, intent.token
    call.amount, call.unit = intent.amount_minor, intent.currency
    return intent


def _card(token: str) -> Chosen:
    if token == "tok_ok" or token.startswith("tok_ok_"):  # noqa: S105 - a test card, not a secret
        return OK_ALWAYS
    chosen = of_token(token)
    if chosen is None:
        raise Refusal(400, "resource_missing", "No such payment method: see the sandbox's table of cards.")
    return chosen


def _unexpected_state(intent: Intent, wanted: str) -> Reply:
    return error_reply(
        400,
        "payment_intent_unexpected_state",
        f"A payment intent that is {intent.status} cannot be {wanted}.",
        payment_intent=intent_view(intent),
    )


def _note(
    state: PspState, at: int, intent: Intent, operation: str, key: str | None, effect: str, amount: int
) -> None:
    state.effects.append(
        Effect(
            at,
            operation,
            key,
            intent.renewal_id,
            intent.token,
            amount,
            intent.currency,
            intent.status,
            effect,
            intent.id,
        )
    )


def _announce(state: PspState, at: int, intent: Intent, event_type: str) -> None:
    if state.events_wanted:
        chosen = of_token(intent.token) if intent.token else None
        state.emit(event_type, intent_view(intent), at, chosen[0].webhook if chosen else "")


_CREATE = frozenset({"amount_minor", "currency", "payment_method", "metadata", "confirm"})
_METHOD = frozenset({"payment_method"})
ROUTES: Final = {
    "POST /v1/payment_intents": Route("create_intent", create_intent, _CREATE),
    "GET /v1/payment_intents": Route("list_intents", list_intents, needs="can_query"),
    "GET /v1/payment_intents/*": Route("get_intent", get_intent, needs="can_query"),
    "POST /v1/payment_intents/*/confirm": Route("confirm_intent", confirm_intent, _METHOD),
    "POST /v1/payment_intents/*/cancel": Route(
        "cancel_intent", cancel_intent, frozenset({"cancellation_reason"}), "can_cancel"
    ),
    "POST /v1/payment_intents/*/authenticate": Route(
        "authenticate_intent", authenticate_intent, frozenset({"outcome"})
    ),
} | REFUND_ROUTES
OPERATIONS: Final = frozenset(route.operation for route in ROUTES.values())


def psp_gateway(salt: str) -> Gateway:
    """A PSP that has seen nothing yet."""
    state = PspState("psp", salt, FaultProfile("psp", OPERATIONS | {"webhook"}))
    return Gateway(state, ROUTES, on_due)
