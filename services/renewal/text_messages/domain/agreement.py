"""What a reply may renew: what its subscription's rule says, as far as its payer has agreed to it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.renewal.domain.admission import Refusal
from services.renewal.domain.asking import Request
from services.renewal.rules.domain.judgement import MAX_NUMBER, RULE_EXPIRED, Told, usable
from services.renewal.rules.domain.mandate import consent
from services.renewal.rules.domain.rule import RenewalRule
from services.renewal.rules.domain.spending import REPLIES, NoRoom, room
from services.renewal.text_messages.domain.reply import Holder, Reply

YIELDING_PAUSES: Final = frozenset({"dunning"})
"""Pauses of automatic renewals that do not hinder whoever asks in person: nobody has decided them."""


def caller_of(gateway: str) -> str:
    """Who asks for the renewals that replies begin, and pauses rules for them."""
    return f"{REPLIES}{gateway}"


def agreed(
    reply: Reply,
    holder: Holder,
    told: Told,
    methods: Sequence[str],
    now: datetime,
    traceparent: str | None,
) -> Request | Refusal:
    """The request of a person that the reply stands for, or why it stands for none.

    `methods`: those of the rule that are known, each as `id payer status`; those that are not active any more
    are passed over, as for the rule's own renewals: who sends a message cannot name another one.

    A text message carries no consent to anything new: offering, methods, payer and most of the price are
    the rule's, and its caps hold: what replies have begun counts in them as what the rule itself has.
    """
    rule = told.rule
    hindrance = _hindrance(rule, now)
    if rule is None or hindrance is not None:
        return hindrance or RULE_MISSING
    says = rule.says
    mandate = consent(told.mandate, rule.payer(holder.owner_id), says.currency, now)
    if isinstance(mandate, Refusal):
        return mandate
    found = room(says, mandate.max_amount_minor, mandate.given_at, told.charges, now)
    if isinstance(found, NoRoom):
        return MAX_NUMBER if found.until is None else Refusal(found.reason, NO_ROOM[found.reason])
    return Request(
        caller=caller_of(reply.gateway),
        request_id=reply.message_id,
        subscription_id=holder.subscription_id,
        offering_id=says.offerings.same,
        max_amount_minor=found.amount_minor,
        currency=says.currency,
        payment_method_ids=usable(says.payment_method_ids, methods),
        payer_id=says.payer_id,
        traceparent=traceparent,
    )


def _hindrance(rule: RenewalRule | None, now: datetime) -> Refusal | None:
    if rule is None:
        return RULE_MISSING
    if not rule.says.enabled:
        return RULE_OFF
    if rule.says.valid_until is not None and rule.says.valid_until <= now:
        return RULE_EXPIRED
    # What the very number that asks now has stopped is asked for once all the same.
    if rule.pause is not None and rule.pause.by not in YIELDING_PAUSES:
        return RULE_PAUSED
    return None


RULE_MISSING: Final = Refusal(
    "rule_missing", "The subscription has no rule, so nobody has agreed to anything. Set one."
)
RULE_OFF: Final = Refusal("rule_off", "The rule is switched off. Switch it on, then ask again.")
RULE_PAUSED: Final = Refusal("rule_paused", "Somebody has paused the rule. Resume it, then ask again.")
NO_ROOM: Final = {
    "cool_down": "The last renewal is too recent for the rule. Ask again after its cool-down.",
    "cap_day": "The rule has charged all that it may within a day. Ask again after that.",
    "cap_period": "The rule has charged all that it may in its period. Ask again after that.",
}
