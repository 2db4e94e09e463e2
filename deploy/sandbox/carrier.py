"""The carrier: top-ups and the profiles they land on.

Pure functions on a `CarrierState`: (state, call) -> reply, with effects left in the state. A reference
(the caller's renewal id) is not unique here: a second top-up under another key is a second top-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from . import fields
from .behaviours import of_iccid
from .exchange import SECOND, Document, Effect, Refusal, Reply, error_reply, instant_text, json_reply
from .faults import FaultProfile, door_reply
from .gateway import Gateway
from .state import Call, Route, State

LARGEST_DATA: Final = 1 << 50
LONGEST_VALIDITY_SECONDS: Final = 10 * 366 * 86_400
STACKINGS: Final = ("extend", "queue", "replace")


@dataclass(slots=True)
class Topup:
    """Data granted, or to be granted. `seen` is False while a late one is on its way unnoticed."""

    id: str
    iccid: str
    reference: str
    data_bytes: int
    validity_seconds: int
    stacking: str
    product_code: str
    created_at: int
    status: str = "processing"
    starts_at: int | None = None
    expires_at: int | None = None
    seen: bool = True


@dataclass(slots=True)
class Profile:
    """What an ICCID was granted; bytes count until `expires_at`."""

    granted_bytes: int = 0
    expires_at: int = 0
    topups: int = 0


@dataclass(slots=True)
class CarrierState(State):
    topups: dict[str, Topup] = field(default_factory=dict)
    by_reference: dict[str, list[str]] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)


def topup_view(topup: Topup) -> Document:
    return {
        "id": topup.id,
        "status": topup.status,
        "iccid": topup.iccid,
        "reference": topup.reference,
        "data_bytes": topup.data_bytes,
        "validity_seconds": topup.validity_seconds,
        "stacking": topup.stacking,
        "product_code": topup.product_code,
        "starts_at": None if topup.starts_at is None else instant_text(topup.starts_at),
        "expires_at": None if topup.expires_at is None else instant_text(topup.expires_at),
        "created_at": instant_text(topup.created_at),
    }


def apply_topup(state: CarrierState, call: Call) -> Reply:
    document = call.document
    iccid = fields.iccid(document)
    reference = fields.text(document, "reference")
    data_bytes = fields.integer(document, "data_bytes", most=LARGEST_DATA)
    validity_seconds = fields.integer(document, "validity_seconds", most=LONGEST_VALIDITY_SECONDS)
    stacking = fields.choice(document, "stacking", STACKINGS)
    product_code = fields.text(document, "product_code")
    call.reference, call.subject, call.amount, call.unit = reference, iccid, data_bytes, product_code
    if reference in state.cancelled:
        return error_reply(
            409, "topup_cancelled", "A top-up with this reference was cancelled: none is made."
        )
    call.shown = state.shows(call, of_iccid(iccid), reference)
    behaviour = call.shown.behaviour
    if behaviour.door:
        call.remember = False
        return door_reply(call.shown)
    if behaviour.decision == "fail":
        return error_reply(500, "internal", "Something broke: nothing was done.", kind="api_error")
    if behaviour.decision == "refuse":
        return error_reply(422, behaviour.code, behaviour.detail)
    topup = Topup(
        state.new_id("tu"), iccid, reference, data_bytes, validity_seconds, stacking, product_code, call.now
    )
    state.topups[topup.id] = topup
    state.by_reference.setdefault(reference, []).append(topup.id)
    call.id = topup.id
    return _decide(state, call, topup)


def _decide(state: CarrierState, call: Call, topup: Topup) -> Reply:
    later = call.now + call.shown.delay_us
    match call.shown.behaviour.decision:
        case "accept":
            _apply(state, call.now, topup, call.operation, call.key)
        case "later_accept":
            state.schedule(later, "apply", topup.id)
        case "later_refuse":
            state.schedule(later, "fail", topup.id)
        case "unseen_then_accept":
            topup.seen = False
            state.schedule(later, "apply", topup.id)
        case _:  # "refuse_then_accept"
            topup.seen = False
            state.schedule(later, "apply", topup.id)
            return error_reply(422, "profile_not_eligible", "The profile may not buy this product.")
    return json_reply(201, topup_view(topup))


def _apply(state: CarrierState, at: int, topup: Topup, operation: str, key: str | None) -> None:
    """Grant it. Bytes of an expired profile are gone; queued data starts when the present data ends."""
    profile = state.profiles.get(topup.iccid)
    if profile is None:
        profile = state.profiles[topup.iccid] = Profile()
    running = profile.expires_at > at
    if topup.stacking == "replace" or not running:
        profile.granted_bytes = topup.data_bytes
        profile.expires_at = at + topup.validity_seconds * SECOND
        topup.starts_at = at
    else:
        topup.starts_at = profile.expires_at if topup.stacking == "queue" else at
        profile.granted_bytes += topup.data_bytes
        profile.expires_at += topup.validity_seconds * SECOND
    profile.topups += 1
    topup.status, topup.seen, topup.expires_at = "completed", True, profile.expires_at
    _note(state, at, topup, operation, key, "applied")


def cancel_topup(state: CarrierState, call: Call) -> Reply:
    """Make sure that a reference is not, and will not be, topped up; or say that it already is."""
    reference = fields.text(call.document, "reference")
    call.reference = reference
    found = [state.topups[id_] for id_ in state.by_reference.get(reference, [])]
    for topup in found:
        if topup.status == "completed":
            call.id, call.subject, call.amount = topup.id, topup.iccid, topup.data_bytes
            return error_reply(
                409, "topup_already_applied", "The data was granted before.", topup=topup_view(topup)
            )
    if reference not in state.cancelled:
        state.cancelled.add(reference)
        cancellation_id = state.new_id("tc")
        state.effects.append(
            Effect(
                call.now,
                call.operation,
                call.key,
                reference,
                None,
                0,
                None,
                "cancelled",
                "topup_cancelled",
                cancellation_id,
            )
        )
    for topup in found:
        if topup.status == "processing":
            topup.status, topup.seen = "cancelled", True
    return json_reply(200, {"reference": reference, "status": "cancelled"})


def get_topup(state: CarrierState, call: Call) -> Reply:
    topup = state.topups.get(call.id)
    if topup is None or not topup.seen:
        raise Refusal(404, "resource_missing", f"No such top-up: {call.id[:64]}.", param="id")
    call.reference, call.subject = topup.reference, topup.iccid
    return json_reply(200, topup_view(topup))


def list_topups(state: CarrierState, call: Call) -> Reply:
    """Newest first, of one reference; a top-up is found `visible_after_seconds` after it was made."""
    reference = call.query.get("reference")
    if not reference:
        raise fields.invalid("reference", "given: top-ups are listed by reference")
    call.reference = reference
    limit = fields.page_limit(call.query)
    horizon = call.now - int(state.capabilities.visible_after_seconds * SECOND)
    found = [state.topups[id_] for id_ in reversed(state.by_reference.get(reference, []))]
    seen = [topup_view(topup) for topup in found if topup.seen and topup.created_at <= horizon]
    return json_reply(200, {"object": "list", "data": seen[:limit], "has_more": len(seen) > limit})


def get_profile(state: CarrierState, call: Call) -> Reply:
    """What an ICCID holds now. An ICCID that never bought anything holds nothing: that is no error."""
    fields.iccid({"iccid": call.id})
    iccid, call.id = call.id, ""
    call.subject = iccid
    profile = state.profiles.get(iccid) or Profile()
    running = profile.expires_at > call.now
    return json_reply(
        200,
        {
            "iccid": iccid,
            "remaining_bytes": profile.granted_bytes if running else 0,
            "expires_at": instant_text(profile.expires_at) if profile.topups else None,
            "topups": profile.topups,
        },
    )


def on_due(state: CarrierState, at: int, what: str, id_: str, _: str) -> None:
    """Top-ups that were on their way arrive or fail, unless they were cancelled meanwhile."""
    topup = state.topups[id_]
    if topup.status != "processing":
        return
    if what == "apply":
        _apply(state, at, topup, "late", None)
    else:
        topup.status = "failed"


def _note(state: CarrierState, at: int, topup: Topup, operation: str, key: str | None, effect: str) -> None:
    state.effects.append(
        Effect(
            at,
            operation,
            key,
            topup.reference,
            topup.iccid,
            topup.data_bytes,
            topup.product_code,
            topup.status,
            effect,
            topup.id,
        )
    )


_TOPUP = frozenset({"iccid", "reference", "data_bytes", "validity_seconds", "stacking", "product_code"})
ROUTES: Final = {
    "POST /v1/topups": Route("apply_topup", apply_topup, _TOPUP),
    "GET /v1/topups": Route("list_topups", list_topups, needs="can_query"),
    "GET /v1/topups/*": Route("get_topup", get_topup, needs="can_query"),
    "GET /v1/profiles/*": Route("get_profile", get_profile, needs="can_query"),
    "POST /v1/topup-cancellations": Route(
        "cancel_topup", cancel_topup, frozenset({"reference"}), "can_cancel"
    ),
}
OPERATIONS: Final = frozenset(route.operation for route in ROUTES.values())


def carrier_gateway(salt: str) -> Gateway:
    """A carrier that has seen nothing yet."""
    state = CarrierState("carrier", salt, FaultProfile("carrier", OPERATIONS))
    return Gateway(state, ROUTES, on_due)
