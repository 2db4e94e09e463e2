"""Who may renew what: one pure decision from the request and what others last told us."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from services.renewal.domain.acceptance import Acceptance
from services.renewal.domain.asking import Request, Trigger
from services.renewal.domain.due import next_due_at
from services.renewal.domain.policy import Policy
from services.renewal.domain.renewal import Renewal
from shared.contracts.message import Terms


class Standing(NamedTuple):
    """What admission knows about one request's subscription, payer and wishes. None: never heard of."""

    renewal_id: UUID
    # What became of the same request before.
    existing_hash: bytes | None
    refused_hash: bytes | None
    refused_reason: str | None
    refused_detail: str | None
    # The subscription and its owner.
    brand: str | None
    carrier: str | None
    owner_id: str | None
    status: str | None
    device_bound: bool | None
    device_matches: bool | None
    cycle: int | None
    """Number of top-ups so far, as the projection has heard of it."""
    identity_verified: bool | None
    # What is wanted.
    offering_status: str | None
    offering_brands: list[str] | None
    offering_carriers: list[str] | None
    offering_statuses: list[str] | None
    methods: list[str]
    """Of those asked for, each as `id payer status`."""
    # The slot, and the switch.
    open_renewal_id: UUID | None
    charges_stopped: list[str] | None = None
    """Every scope in which automatic charges are stopped; of single subscriptions those asked about."""
    # What a rule has begun gives way to whoever asks in person.
    open_state: str | None = None
    open_by_rule: bool | None = None
    has_acceptance: bool = False
    """Whether the acceptance policy says anything at all."""
    bound_imei: str | None = None
    """None also where an older version's process heard of the subscription last."""
    acceptance: Acceptance | None = None
    """What it says about this request: read only where it says anything."""


class Refusal(NamedTuple):
    """Why not: a reason code that support can look up, and a sentence saying what to do."""

    reason: str
    detail: str


class Joined(NamedTuple):
    """The same request came before: this is its renewal."""

    renewal_id: UUID


class Admitted(NamedTuple):
    """A renewal to begin, with the request that it is stored with."""

    renewal: Renewal
    terms: Terms
    request: Request
    mandate_id: str | None = None
    """The consent that a rule's renewal stands on."""
    bound_by: str | None = None
    """Which of a rule's limits made the maximum of its terms."""


class NotMeant(NamedTuple):
    """A trigger for which there is no rule, or none that asks for it: nobody is waiting for an answer."""

    reason: str


class Kept(NamedTuple):
    """A rule's trigger that is looked at again: when the slot frees, a stop is over, or at an instant."""

    trigger: Trigger
    reason: str = "slot_taken"
    detail: str | None = None
    """What the reason's own sentence does not tell."""


class Waits(NamedTuple):
    """A request that finds the slot taken by what a rule has begun, and that may still be called off."""

    gives_way: UUID
    """The rule's renewal."""
    owner_id: str
    cycle: int


class InReview(NamedTuple):
    """What can be paid only in ways that a person decides about, before `deadline_at`."""

    renewal_id: UUID
    request: Request
    acceptance: Acceptance
    """What the table says, and left to a person."""
    owner_id: str
    cycle: int
    deadline_at: datetime
    is_new: bool = True
    """False where it has been asked already."""


class Announced(NamedTuple):
    """A rule's trigger whose payer is told now, and charged at `trigger.not_before`."""

    trigger: Trigger
    mandate_id: str
    offering_id: str
    max_amount_minor: int
    currency: str


class Shadowed(NamedTuple):
    """A rule's trigger of a subscription that is not live: what would have been done about it, and is not."""

    would: Admitted | Refusal | Kept | Announced | InReview


Answer = Admitted | Joined | Refusal | NotMeant | Kept | Announced | Shadowed | Waits | InReview
_Check = Callable[[Request, Standing, datetime], Refusal | None]


def answer_request(request: Request, standing: Standing, now: datetime, policy: Policy) -> Answer:
    """What a request leads to. The same request again gets the answer that it got before."""
    before = standing.existing_hash or standing.refused_hash
    if before is not None and before != request.fingerprint:
        return REUSED
    if standing.existing_hash is not None:
        return Joined(standing.renewal_id)
    if standing.refused_reason is not None and request.is_told:
        return Refusal(standing.refused_reason, standing.refused_detail or "")
    cycle = standing.cycle or 0
    answer = judge(request, standing, now, policy, cycle)
    if answer == SLOT_TAKEN and standing.open_renewal_id is not None and _may_give_way(standing):
        # Nothing is called off for what may not be accepted in the end.
        review = _review(request, standing, now, policy, cycle)
        return review or Waits(standing.open_renewal_id, standing.owner_id or "", cycle)
    return answer


def _may_give_way(standing: Standing) -> bool:
    return bool(standing.open_by_rule) and standing.open_state in GIVES_WAY


def judge(
    request: Request, standing: Standing, now: datetime, policy: Policy, cycle: int
) -> Admitted | Refusal | InReview:
    """What stands in the way first, or what a person must decide, or the renewal to begin."""
    for check in CHECKS:
        refusal = check(request, standing, now)
        if refusal is not None:
            return refusal
    review = _review(request, standing, now, policy, cycle)
    return review or _admit(request, standing, now, policy, cycle)


def _review(
    request: Request, standing: Standing, now: datetime, policy: Policy, cycle: int
) -> InReview | Refusal | None:
    """What a person must decide, or has not in time; None where one of the methods is accepted."""
    acceptance = standing.acceptance
    if acceptance is None or acceptance.accepted(request.payment_method_ids):
        return None
    asked = InReview(standing.renewal_id, request, acceptance, standing.owner_id or "", cycle, now)
    before = acceptance.reviewed
    if before is not None:
        expired = before.deadline_at <= now
        return REVIEW_EXPIRED if expired else asked._replace(deadline_at=before.deadline_at, is_new=False)
    deadline_at = now + timedelta(seconds=policy.review_seconds)
    return asked._replace(deadline_at=min(deadline_at, request.act_before or deadline_at))


def _admit(request: Request, standing: Standing, now: datetime, policy: Policy, cycle: int) -> Admitted:
    methods = request.payment_method_ids
    if standing.acceptance is not None:
        methods = standing.acceptance.accepted(methods)
    terms = Terms(
        offering_id=request.offering_id,
        max_amount_minor=request.max_amount_minor,
        currency=request.currency,
        payment_method_ids=methods,
        payer_id=request.payer_id or standing.owner_id or "",
        origin=request.origin,
        is_bulk=request.is_bulk,
    )
    renewal = Renewal(
        renewal_id=standing.renewal_id,
        subscription_id=request.subscription_id,
        terms=terms.model_dump_json(),
        cycle=cycle,
        requested_at=now,
        traceparent=request.traceparent,
        heard_at=now,
        deadline_at=now + timedelta(seconds=policy.deadline_seconds[request.origin]),
        payment_method_id=methods[0],
    )
    due_at = next_due_at(renewal, policy)
    return Admitted(renewal._replace(next_due_at=due_at), terms, request)


GIVES_WAY: Final[frozenset[str]] = frozenset(
    {"requested", "priced", "awaiting_customer", "cancelling_payment"}
)
"""States in which no money was seen: what a rule began there is called off for whoever asks in person."""

REUSED: Final = Refusal(
    "idempotency_key_reused",
    "This request id came before with other contents. Use a new one for a new request.",
)
SUBSCRIPTION_UNKNOWN: Final = Refusal(
    "subscription_unknown",
    "Nobody has told us of this subscription. Check its id; a new one takes a moment to arrive here.",
)
REVIEW_EXPIRED: Final = Refusal(
    "review_expired",
    "Nobody has decided in time whether it may be paid so. Ask again, or name a method of another kind.",
)
SLOT_TAKEN: Final = Refusal(
    "slot_taken",
    "Another renewal of this subscription is under way. Wait until it is closed, or cancel it first.",
)


def _too_late(request: Request, _standing: Standing, now: datetime) -> Refusal | None:
    if request.act_before is None or now < request.act_before:
        return None
    return Refusal("too_late", "The request was read after its act_before. Send a new one with a new id.")


def _unknown_subscription(_request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    return None if standing.status is not None else SUBSCRIPTION_UNKNOWN


def _owner_unverified(_request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    if standing.identity_verified:
        return None
    return Refusal(
        "identity_not_verified",
        "The identity of the subscription's owner is not verified. Have it verified, then ask again.",
    )


def _device_changed(_request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    if not standing.device_bound:
        return Refusal(
            "device_not_bound", "The subscription is bound to no device. Bind it to one, then ask again."
        )
    if not standing.device_matches:
        return Refusal(
            "device_changed",
            "The eSIM was used in another device than the bound one. Bind it anew, then ask again.",
        )
    return None


def _not_on_sale(_request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    return offering_refusal(standing.offering_status)


def offering_refusal(status: str | None) -> Refusal | None:
    """Why an offering in this status cannot be bought; None where it can. `status` None: unknown."""
    if status is None:
        return Refusal("offering_unknown", "There is no such offering. Choose one of the catalog.")
    if status != "on_sale":
        return Refusal("offering_withdrawn", "The offering is not sold any more. Choose another one.")
    return None


def _may_not_buy(_request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    brands, carriers = standing.offering_brands, standing.offering_carriers
    if brands and standing.brand not in brands:
        return Refusal("brand_not_eligible", "The offering is not for this brand. Choose another one.")
    if carriers and standing.carrier not in carriers:
        return Refusal("carrier_not_eligible", "The offering is not for this carrier. Choose another one.")
    if standing.status not in (standing.offering_statuses or ()):
        return Refusal(
            "status_not_eligible",
            f"The offering is not for a subscription that is {standing.status}. Choose another one.",
        )
    return None


def _cannot_pay_so(request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    payer = request.payer_id or standing.owner_id
    return payment_refusal(request.payment_method_ids, payer, standing.methods)


def payment_refusal(wanted: Sequence[str], payer: str | None, methods: Sequence[str]) -> Refusal | None:
    """Why the payer cannot pay with these; `methods` are the known ones, each as `id payer status`."""
    known = {name: (payer_id, status) for name, payer_id, status in (each.split(" ") for each in methods)}
    for method_id in wanted:
        # One answer for an unknown method and for somebody else's: it must not tell which exist.
        if method_id not in known or known[method_id][0] != payer:
            return Refusal(
                "payment_method_unknown",
                f"The payer has no payment method {method_id}. Name one of the payer's own.",
            )
        if known[method_id][1] != "active":
            return Refusal(
                "payment_method_inactive",
                f"Payment method {method_id} is {known[method_id][1]}. Name an active one.",
            )
    return None


def _not_accepted(request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    return acceptance_refusal(request.payment_method_ids, standing.acceptance)


def acceptance_refusal(
    wanted: Sequence[str], acceptance: Acceptance | None, *, may_ask: bool = True
) -> Refusal | None:
    """Why none of these may pay; None where one may, where a person decides, or the policy says nothing."""
    why = None if acceptance is None else acceptance.objection(wanted, may_ask=may_ask)
    return None if why is None else Refusal(*why)


def _slot_taken(_request: Request, standing: Standing, _now: datetime) -> Refusal | None:
    return SLOT_TAKEN if standing.open_renewal_id is not None else None


CHECKS: Final[tuple[_Check, ...]] = (
    _too_late,
    _unknown_subscription,
    _owner_unverified,
    _device_changed,
    _not_on_sale,
    _may_not_buy,
    _cannot_pay_so,
    _not_accepted,
    _slot_taken,
)
"""Asked in this order; the first refusal is the answer."""
