"""Sets rules and lets them go on: judged, compared with what is there, written, told."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.renewal import admissions
from services.renewal import store as renewals
from services.renewal.domain.admission import (
    SUBSCRIPTION_UNKNOWN,
    Refusal,
    offering_refusal,
    payment_refusal,
)
from services.renewal.domain.policy import Policy
from services.renewal.rules import mandate_store, pausing, store
from services.renewal.rules.domain.mandate import (
    BEFORE_MANDATES,
    CONSENT_MISSING,
    CONSENT_REVOKED,
    Mandate,
    consent,
)
from services.renewal.rules.domain.rule import Instruction, RenewalRule
from services.renewal.rules.store import Named
from shared.contracts.message import deterministic_id
from shared.messaging.transaction import Transaction


class Wanted(NamedTuple):
    """A rule as somebody wants it. `mandate_id` None: the one it stands on, or the caller's word."""

    subscription_id: str
    says: Instruction
    mandate_id: str | None = None


async def set_rules(transaction: Transaction, wanted: Sequence[Wanted], set_by: str) -> list[Refusal | None]:
    """Store those that can work; per rule why not, or None. Of two for one subscription the later counts."""
    connection, now = transaction.connection, transaction.now
    named = await store.read_what_rules_name(connection, [(one.subscription_id, one.says) for one in wanted])
    known = await store.lock(connection, {one.subscription_id for one in wanted})
    mandates = await mandate_store.read(connection, _names(wanted, known.values()))
    refusals: list[Refusal | None] = []
    rules: dict[str, RenewalRule] = {}
    given: list[Mandate] = []
    for one, there_is in zip(wanted, named, strict=True):
        before = rules.get(one.subscription_id) or known.get(one.subscription_id)
        refusal = _refusal(one.says, there_is)
        stands_on = refusal or _consent(one, before, mandates, there_is, set_by, now)
        if isinstance(stands_on, Refusal):
            refusals.append(stands_on)
            continue
        refusals.append(None)
        if (one.subscription_id, stands_on.mandate_id) not in mandates:
            given.append(stands_on)
            mandates[one.subscription_id, stands_on.mandate_id] = stands_on
        rules[one.subscription_id] = _replaced(one, before, stands_on)
    if given:
        await mandate_store.insert(connection, given)
    written = await pausing.write(transaction, known, rules.values(), set_by)
    await _try_other_cards(transaction, known, written)
    if written:
        await store.look_again(connection, {rule.subscription_id for rule in written}, now)
    return refusals


async def _try_other_cards(
    transaction: Transaction, known: Mapping[str, RenewalRule], written: Collection[RenewalRule]
) -> None:
    """What waits for another payment method is looked at soon where a rule names one."""
    renamed = [
        rule
        for rule in written
        if (before := known.get(rule.subscription_id)) is not None
        and before.says.payment_method_ids != rule.says.payment_method_ids
    ]
    if renamed:
        await store.try_other_cards(transaction.connection, renamed, transaction.now)


def _names(wanted: Sequence[Wanted], known: Collection[RenewalRule]) -> set[tuple[str, str]]:
    named = {(one.subscription_id, one.mandate_id) for one in wanted}
    named |= {(rule.subscription_id, rule.mandate_id) for rule in known}
    return {(subscription_id, name) for subscription_id, name in named if name is not None}


def _refusal(says: Instruction, named: Named) -> Refusal | None:
    if named.owner_id is None:
        return SUBSCRIPTION_UNKNOWN
    statuses = dict(text.split(" ") for text in named.offerings)
    for offering_id in says.offerings.named:
        refusal = offering_refusal(statuses.get(offering_id))
        if refusal is not None:
            return refusal
    return payment_refusal(says.payment_method_ids, says.payer_id or named.owner_id, named.methods)


def _consent(
    one: Wanted,
    before: RenewalRule | None,
    mandates: dict[tuple[str, str], Mandate],
    named: Named,
    set_by: str,
    now: datetime,
) -> Mandate | Refusal:
    """The mandate that the rule is to stand on: named, the one before, or the word of whoever sets it."""
    payer_id = one.says.payer_id or named.owner_id
    if one.mandate_id is not None:
        return consent(mandates.get((one.subscription_id, one.mandate_id)), payer_id, one.says.currency, now)
    stood_on = mandates.get((one.subscription_id, before.mandate_id or "")) if before else None
    if stood_on is not None and stood_on.revoked_at is not None:
        # Setting the rule once more must not undo what the payer has revoked.
        unchanged = before is not None and before.says == one.says
        return stood_on if unchanged else CONSENT_REVOKED
    found = consent(stood_on, payer_id, one.says.currency, now)
    if isinstance(found, Mandate) and not _is_the_callers_word(found, one.says):
        return found
    if payer_id is None or payer_id != named.owner_id:
        return CONSENT_MISSING
    return _word_of(set_by, payer_id, one, now)


def _is_the_callers_word(mandate: Mandate, says: Instruction) -> bool:
    """Evidence made of a short form, for another maximum than is wanted now: it is given anew."""
    return mandate.text_version == BEFORE_MANDATES and mandate.max_amount_minor != says.cap_amount_minor


def _word_of(set_by: str, payer_id: str, one: Wanted, now: datetime) -> Mandate:
    """Whoever sets a rule in its short form answers for the consent: no charge is without evidence."""
    says = one.says
    name = deterministic_id(one.subscription_id, payer_id, says.cap_amount_minor, now.isoformat())
    return Mandate(
        one.subscription_id,
        f"api-{name}",
        payer_id,
        BEFORE_MANDATES,
        None,
        "api",
        now,
        "und",
        says.cap_amount_minor,
        says.currency,
        says.valid_until,
        set_by,
        now,
    )


def _replaced(one: Wanted, before: RenewalRule | None, mandate: Mandate) -> RenewalRule:
    """The rule as it becomes. Its pause stays: only somebody who says so lets it go on."""
    if before is None:
        return RenewalRule(one.subscription_id, 1, one.says, mandate.mandate_id)
    return before._replace(says=one.says, mandate_id=mandate.mandate_id)


def _lifted(rule: RenewalRule, *, opt_outs: bool) -> RenewalRule:
    """One pause at a time: who lifts somebody's must not lift the subscriber's without having seen it."""
    if rule.pause is not None:
        return rule._replace(pause=None)
    return rule._replace(opt_out=None) if opt_outs else rule


async def resume(
    transaction: Transaction,
    subscription_ids: Collection[str],
    by: str,
    why: str,
    policy: Policy,
    *,
    opt_outs: bool,
) -> list[RenewalRule]:
    """End the pauses of these rules; those that were paused. What waited for that is looked at again, now.

    What a subscriber has stopped beside that goes on standing still: that is lifted by whoever looks after
    this one rule, once nobody else has paused it.
    """
    known = await store.lock(transaction.connection, subscription_ids)
    resumed = [lifted for rule in known.values() if (lifted := _lifted(rule, opt_outs=opt_outs)) != rule]
    if resumed:
        await pausing.write(transaction, known, resumed, by)
        await pausing.audit(transaction, "resume rule", resumed, by, why)
        names = [rule.subscription_id for rule in resumed if not rule.pauses]
        kept = await renewals.take_kept_triggers(transaction.connection, names)
        if kept:
            await admissions.admit(transaction, kept, policy)
    return resumed
