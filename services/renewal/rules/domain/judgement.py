"""What a trigger leads to, by its subscription's rule: one pure decision, asked in the order of the lines."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from services.renewal.domain.admission import (
    Admitted,
    Announced,
    Answer,
    Joined,
    Kept,
    NotMeant,
    Refusal,
    Standing,
    judge,
)
from services.renewal.domain.asking import FIRST_TRY, PAUSED, RULE, UNTIL, Request, Trigger
from services.renewal.domain.charge_stop import stopping
from services.renewal.domain.policy import Policy
from services.renewal.rules.domain import decision
from services.renewal.rules.domain.mandate import Mandate, consent
from services.renewal.rules.domain.offering import OfferingTerms, chosen
from services.renewal.rules.domain.question import in_words, question_of, too_low
from services.renewal.rules.domain.quiet_hours import awake_at, quiet_until
from services.renewal.rules.domain.rule import RenewalRule
from services.renewal.rules.domain.spending import Charge, NoRoom, Room, room


class Told(NamedTuple):
    """What is known of a subscription's rule beside what admission asks of every request."""

    rule: RenewalRule | None = None
    mandate: Mandate | None = None
    """The one that the rule names."""
    charges: Sequence[Charge] = ()
    sold: Sequence[OfferingTerms] = ()
    """What is known of the offerings that the rule names."""
    applied_cycle: int | None = None
    """The newest cycle that we completed: the projection may not have heard of it."""
    waiting: Trigger | None = None
    """What is kept of the subscription already."""


class Wish(NamedTuple):
    """What the rule would buy, and how it would pay: what admission has to look up."""

    offering_id: str
    payment_method_ids: tuple[str, ...]


def wish_of(told: Told, trigger: Trigger) -> Wish:
    """Of no rule: nothing. A try after the first wants what the first wanted, with what may still pay."""
    if told.rule is None:
        return Wish("", ())
    says = told.rule.says
    declined = (trigger.declined or "").split(",")
    methods = tuple(method for method in says.payment_method_ids if method not in declined)
    if trigger.offering_id in says.offerings.named:
        return Wish(trigger.offering_id, methods)
    return Wish(chosen(says.offerings, trigger, told.sold), methods)


def answer_trigger(trigger: Trigger, told: Told, standing: Standing, now: datetime, policy: Policy) -> Answer:
    """What is done about it. Kept and Announced are looked at again, the others are final."""
    rule = told.rule
    if rule is None:
        return NotMeant("rule_missing")
    if not rule.says.enabled:
        return NotMeant("rule_off")
    if not rule.says.wants(trigger):
        return NotMeant("trigger_not_wanted")
    if standing.existing_hash is not None:
        return Joined(standing.renewal_id)
    standing = standing._replace(
        # A trigger of a later cycle is kept: that is over which this one is about, whoever has not heard it.
        cycle=_newest(standing.cycle, told.applied_cycle, told.waiting and told.waiting.cycle),
        device_matches=standing.device_matches and not _is_offended(trigger, standing),
    )
    if standing.cycle is not None and trigger.cycle < standing.cycle:
        return CYCLE_OVER
    if standing.status == "terminated":
        return ENDED
    can_pay = bool(wish_of(told, trigger).payment_method_ids)
    if _is_early(trigger, now) and not (trigger.declined is not None and can_pay):
        return Kept(trigger._replace(held_by=UNTIL), "dunning")
    held = _held(trigger, rule, standing)
    if held is not None:
        return held
    return _charge(trigger, rule, told, standing, now, policy) if can_pay else NO_OTHER_CARD


def _is_early(trigger: Trigger, now: datetime) -> bool:
    """Whether a try after the first is looked at before its time: a slot has freed, a rule goes on."""
    if trigger.dunning_try == FIRST_TRY or trigger.announced is not None or trigger.not_before is None:
        return False
    return now < trigger.not_before


def _is_offended(trigger: Trigger, standing: Standing) -> bool:
    """Whether usage has seen another device than the one that is bound, as far as we know.

    The projection hears of it later: from usage by way of provisioning. Where another device is bound by what
    it has heard, usage did not know of that yet, and the projection alone says whether it matches. (That it
    is the projection which has not heard of the new binding, while a record of a session that began after it
    is counted already, would take one that lags by a session's length: it is stale in all else then, too.)
    """
    if trigger.offended_imei is None:
        return False
    return standing.bound_imei in (None, trigger.offended_imei)


def _newest(*cycles: int | None) -> int | None:
    return max((cycle for cycle in cycles if cycle is not None), default=None)


def _held(trigger: Trigger, rule: RenewalRule, standing: Standing) -> Kept | None:
    """What holds it up without an end that could be named now."""
    if rule.pauses:
        # What was announced is announced anew when the rule goes on: the pause called it off.
        paused = trigger._replace(held_by=PAUSED, not_before=None, announced=None)
        told = " ".join(f"By {pause.by}: {pause.why}" for pause in rule.pauses)
        return Kept(paused, "rule_paused", told)
    if standing.open_renewal_id is not None:
        return Kept(trigger._replace(held_by=None, not_before=None))
    # The switch is for what nobody asked for just now: whoever asks in person is served.
    stops = standing.charges_stopped or ()
    stop = stopping(stops, standing.brand, standing.carrier, trigger.subscription_id)
    if stop is not None:
        return Kept(trigger._replace(held_by=stop, not_before=None), "charges_stopped", f"Stopped: {stop}.")
    return None


def _charge(
    trigger: Trigger, rule: RenewalRule, told: Told, standing: Standing, now: datetime, policy: Policy
) -> Answer:
    says = rule.says
    if says.valid_until is not None and says.valid_until <= now:
        return RULE_EXPIRED
    payer_id = rule.payer(standing.owner_id)
    mandate = consent(told.mandate, payer_id, says.currency, now)
    if isinstance(mandate, Refusal):
        return mandate
    unanswered = _unanswered(trigger, told, rule, mandate)
    if unanswered is not None:
        return unanswered
    found = room(says, mandate.max_amount_minor, mandate.given_at, told.charges, now)
    if isinstance(found, NoRoom):
        return _no_room(trigger, found)
    methods = usable(wish_of(told, trigger).payment_method_ids, standing.methods)
    request = _request(trigger, told, rule, found)._replace(payment_method_ids=methods)
    answer = judge(request, standing, now, policy, trigger.cycle)
    if not isinstance(answer, Admitted):
        return answer
    quiet = quiet_until(says.quiet_hours, now)
    if quiet is not None and not says.notice_seconds:
        return Kept(trigger._replace(held_by=UNTIL, not_before=quiet), "quiet_hours")
    if says.notice_seconds:
        wait = _notice(trigger, rule, told, request, mandate, now)
        if wait is not None:
            return wait
        if quiet is not None:
            return Kept(trigger._replace(held_by=UNTIL, not_before=quiet), "quiet_hours")
    return answer._replace(mandate_id=mandate.mandate_id, bound_by=found.bound_by)


def usable(wanted: Sequence[str], methods: Sequence[str]) -> tuple[str, ...]:
    """Those that are still active, in their order; all where none is, so that the refusal names one.

    `methods`: the known ones, each as `id payer status`.
    """
    statuses = {method_id: status for method_id, _, status in (method.split(" ") for method in methods)}
    return tuple(method for method in wanted if statuses.get(method) == "active") or tuple(wanted)


def _unanswered(trigger: Trigger, told: Told, rule: RenewalRule, mandate: Mandate) -> Kept | None:
    """Whether its payer was asked for more, and as much is not agreed to yet: of what it is to buy now."""
    question, says = question_of(trigger), rule.says
    if question is None:
        return None
    if (wish_of(told, trigger).offering_id, says.currency) != (question.offering_id, question.currency):
        return None
    reason = too_low(question, says, mandate)
    if reason is None:
        return None
    waiting = trigger._replace(held_by=UNTIL, not_before=None)
    return Kept(waiting, reason, in_words(question, says, mandate))


def _no_room(trigger: Trigger, found: NoRoom) -> Answer:
    if found.until is None:
        return MAX_NUMBER
    return Kept(trigger._replace(held_by=UNTIL, not_before=found.until), found.reason)


def _request(trigger: Trigger, told: Told, rule: RenewalRule, found: Room) -> Request:
    wish = wish_of(told, trigger)
    most = found.amount_minor
    announced = _announced(trigger)
    if announced is not None and announced[0] == wish.offering_id and announced[2] == rule.says.currency:
        most = min(most, announced[1])
    return Request(
        caller=RULE,
        request_id=trigger.request_id,
        subscription_id=trigger.subscription_id,
        offering_id=wish.offering_id,
        max_amount_minor=most,
        currency=rule.says.currency,
        payment_method_ids=wish.payment_method_ids,
        payer_id=rule.says.payer_id,
        origin="rule",
        traceparent=trigger.traceparent,
        dunning_try=trigger.dunning_try,
    )


def _notice(
    trigger: Trigger, rule: RenewalRule, told: Told, request: Request, mandate: Mandate, now: datetime
) -> Kept | Announced | None:
    """What is still to be waited for before the charge; None where its payer has been told long enough."""
    waiting = told.waiting
    if trigger.announced is None and waiting is not None and waiting.renewal_id == trigger.renewal_id:
        # Where another trigger of the same cycle was announced the payer is not told twice.
        trigger = trigger._replace(announced=waiting.announced, not_before=waiting.not_before)
    announced = _announced(trigger)
    if announced is not None and (announced[0], announced[2]) == (request.offering_id, request.currency):
        if trigger.not_before is None or trigger.not_before <= now:
            return None
        return Kept(trigger._replace(held_by=UNTIL), "announced")
    charge_at = awake_at(rule.says.quiet_hours, now + timedelta(seconds=rule.says.notice_seconds))
    text = f"{request.offering_id} {request.max_amount_minor} {request.currency}"
    told_of = trigger._replace(held_by=UNTIL, not_before=charge_at, announced=text)
    return Announced(
        told_of, mandate.mandate_id, request.offering_id, request.max_amount_minor, request.currency
    )


def _announced(trigger: Trigger) -> tuple[str, int, str] | None:
    """Offering, maximum and currency of which the payer was told."""
    if trigger.announced is None:
        return None
    offering_id, amount, currency = trigger.announced.split(" ")
    return offering_id, int(amount), currency


CYCLE_OVER = Refusal(decision.CYCLE_OVER, decision.OVER)
ENDED = Refusal("status_not_eligible", "The subscription is terminated: nothing of it is renewed any more.")
RULE_EXPIRED = Refusal(
    "valid_until", "The rule was valid until an instant that has passed. Set it anew with a later one."
)
NO_OTHER_CARD = Refusal(
    "no_other_card",
    "The rule's payment methods were declined for good, and no other one was named in time. Name another one "
    "in the rule, then let it go on.",
)
MAX_NUMBER = Refusal(
    "max_number",
    "The rule has renewed as often as it may on this mandate. Raise max_renewals, or record a new mandate.",
)
