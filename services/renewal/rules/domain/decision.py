"""What became of a trigger, and why: a code for support, a sentence for people, the next try."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args
from uuid import UUID

from services.renewal.domain.admission import (
    Admitted,
    Announced,
    Answer,
    InReview,
    Joined,
    Kept,
    NotMeant,
    Refusal,
    Shadowed,
    Waits,
)
from services.renewal.domain.asking import Trigger
from services.renewal.domain.renewal import Renewal

Outcome = Literal[
    "renewed",  # a renewal was begun; how it ended, if not well, is told here too
    "joined",  # another trigger of the same cycle had begun one
    "waiting",  # looked at again, at next_try_at where it is known
    "announced",  # its payer was told; charged at next_try_at
    "refused",  # nothing is done for this cycle
    "asked",  # it costs more than was agreed to: the payer was asked
    "not_meant",  # no rule asks for it
    "would_renew",  # in shadow: a renewal would have been begun, on these terms
    "would_wait",  # in shadow: it would be looked at again
]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

SENTENCES: Final[dict[str, str]] = {
    "rule_missing": "The subscription has no rule.",
    "rule_off": "The rule is switched off.",
    "trigger_not_wanted": "The rule does not ask for this kind of trigger, or not as early.",
    "rule_paused": "The rule is paused: it is looked at again when the rule goes on.",
    "slot_taken": "Another renewal is under way: it is looked at again when that is closed.",
    "charges_stopped": "Automatic charges are stopped: it is looked at again when they are resumed.",
    "breaker": "Too many automatic renewals began: the breaker stopped them until a person resumes them.",
    "quiet_hours": "It is night where the rule says so: it is looked at again when the quiet hours end.",
    "cool_down": "The last automatic renewal is too recent: it is looked at again after the cool-down.",
    "cap_day": "The rule has charged all that it may within a day: it is looked at again after that.",
    "cap_period": "The rule has charged all that it may in its period: it is looked at again after that.",
    "dunning": "The payment failed: the next try is due at its instant, or when another card is named.",
    "price_above_consent": "It costs more than the payer agreed to: it goes on once they agree to more.",
    "cap_charge": "It costs more than the rule allows per charge: it goes on once the rule says more.",
    "in_review": "A person decides whether it may be paid so: what nobody has decided by then is refused.",
    "announced": "The payer was told of the charge, and is charged at the announced instant.",
}
"""Of every reason that comes without a sentence of its own."""

NOT_LIVE: Final = "The subscription is not live: nothing is charged here."
"""Before the sentence of everything that is decided in shadow."""

ASKS: Final = ("consent", "cap_charge")
"""Limits of a single charge: where the price is above one of them, somebody can be asked to raise it."""


CYCLE_OVER: Final = "cycle_over"
OVER: Final = "The data was topped up meanwhile: there is nothing to do."
JOINED: Final = "Its cycle's renewal had been begun already."
_OPEN: Final = ("waiting", "announced")


class Decision(NamedTuple):
    """One row: the last word so far about one kind of trigger of one try in one cycle."""

    subscription_id: str
    cycle: int
    kind: str
    dunning_try: int
    decided_at: datetime
    outcome: Outcome
    reason: str | None
    detail: str
    renewal_id: UUID | None = None
    next_try_at: datetime | None = None
    mandate_id: str | None = None
    bound_by: str | None = None
    shadow: bool = False
    """The subscription was not live: nothing was begun, kept, said or charged."""
    terms: str | None = None
    """JSON: what would have been renewed, where it is in shadow."""

    @property
    def place(self) -> tuple[str, int, str, int]:
        return self.subscription_id, self.cycle, self.kind, self.dunning_try

    @property
    def waits(self) -> bool:
        """Whether it is to be followed by another word, and nothing was begun yet."""
        return self.outcome in _OPEN and self.renewal_id is None


def decision_of(trigger: Trigger, answer: Answer, now: datetime) -> Decision:
    """What is kept of the answer to a trigger."""
    made = Decision(
        trigger.subscription_id, trigger.cycle, trigger.kind, trigger.dunning_try, now, "renewed", None, ""
    )
    match answer:
        case Admitted(renewal=renewal):
            return made._replace(
                detail="A renewal was begun.",
                renewal_id=renewal.renewal_id,
                mandate_id=answer.mandate_id,
                bound_by=answer.bound_by,
            )
        case Joined(renewal_id=renewal_id):
            return made._replace(outcome="joined", detail=JOINED, renewal_id=renewal_id)
        case Refusal(reason=reason, detail=detail):
            return made._replace(outcome="refused", reason=reason, detail=detail)
        case NotMeant(reason=reason):
            return made._replace(outcome="not_meant", reason=reason, detail=SENTENCES[reason])
        case Kept(reason=reason):
            told = f"{SENTENCES[reason]} {answer.detail or ''}".strip()
            outcome: Outcome = "announced" if reason == "announced" else "waiting"
            return made._replace(
                outcome=outcome, reason=reason, detail=told, next_try_at=answer.trigger.not_before
            )
        case Announced(trigger=kept):
            return made._replace(
                outcome="announced",
                reason="announced",
                detail=SENTENCES["announced"],
                next_try_at=kept.not_before,
                mandate_id=answer.mandate_id,
            )
        case InReview(deadline_at=deadline_at):
            detail = SENTENCES["in_review"]
            return made._replace(
                outcome="waiting", reason="in_review", detail=detail, next_try_at=deadline_at
            )
        case Shadowed(would=would):
            return _in_shadow(decision_of(trigger, would, now), would)
        case Waits():
            raise AssertionError("only who asks in person waits for a slot")


def _in_shadow(decision: Decision, would: Admitted | Refusal | Kept | Announced | InReview) -> Decision:
    """What would have been decided, with the terms that it would have been on."""
    told = decision._replace(detail=f"{NOT_LIVE} {decision.detail}", shadow=True)
    match would:
        case Admitted(terms=terms):
            named = _terms(
                terms.offering_id, terms.max_amount_minor, terms.currency, terms.payment_method_ids
            )
            detail = f"{NOT_LIVE} A renewal would have been begun."
            return told._replace(outcome="would_renew", renewal_id=None, detail=detail, terms=named)
        case Announced():
            named = _terms(would.offering_id, would.max_amount_minor, would.currency, ())
            detail = f"{NOT_LIVE} The payer would have been told, and charged at the next try's instant."
            return told._replace(outcome="would_renew", detail=detail, terms=named)
        case Kept() | InReview():
            return told._replace(outcome="would_wait")
        case Refusal():
            return told


def _terms(offering_id: str, max_amount_minor: int, currency: str, methods: Sequence[str]) -> str:
    named = {"offering_id": offering_id, "max_amount_minor": max_amount_minor, "currency": currency}
    return json.dumps(named | {"payment_method_id": next(iter(methods), None)})


def replaces(old: Decision, new: Decision) -> bool:
    """Whether the new word stands; keep_decisions says the same in SQL.

    A trigger that is read twice must not hide what became of the first: a renewal's story is only
    continued by its own, and that the cycle is over is news for those alone who were waiting.
    """
    if old.renewal_id is not None and (new.outcome == "joined" or new.renewal_id != old.renewal_id):
        return False
    return new.reason != CYCLE_OVER or old.outcome in _OPEN


def last_words(decisions: Iterable[Decision]) -> list[Decision]:
    """Of several about the same the one that stands, in the order of their rows.

    Of several cycles the newest alone can wait.
    """
    kept: dict[tuple[str, int, str, int], Decision] = {}
    for decision in decisions:
        known = kept.get(decision.place)
        if known is None or replaces(known, decision):
            kept[decision.place] = decision
    newest: dict[str, Decision] = {}
    for decision in kept.values():
        known = newest.get(decision.subscription_id)
        if known is None or known.cycle < decision.cycle:
            newest[decision.subscription_id] = decision
    told = (kept[place] for place in sorted(kept))
    return [
        _over(decision, newest[decision.subscription_id])
        if decision.waits and decision.cycle < newest[decision.subscription_id].cycle
        else decision
        for decision in told
    ]


def settled(old: Decision, new: Decision, *, is_kept: bool) -> Decision:
    """An earlier word once `new` is said of another trigger; settle_decisions says the same in SQL.

    Of a subscription one trigger is kept. It stands for all of its cycle and try that wait, so what it leads
    to is said of them, too; of an older cycle nothing is kept any more, and no next try of one that has come
    to its end is still due. `is_kept`: one is kept of the cycle and try of `old`; then it does not end with
    another one that is not meant.
    """
    if old.waits and old.cycle < new.cycle:
        return _over(old, new)
    if old.waits and old.cycle == new.cycle and old.dunning_try <= new.dunning_try:
        if new.outcome == "not_meant" and is_kept:
            return old
        told = new._replace(kind=old.kind, dunning_try=old.dunning_try)
        return told._replace(outcome="joined", detail=JOINED) if new.outcome == "renewed" else told
    is_past = old.cycle < new.cycle or (
        old.cycle == new.cycle and old.dunning_try < new.dunning_try and new.outcome not in _OPEN
    )
    if is_past and not old.shadow and old.next_try_at is not None and old.next_try_at > new.decided_at:
        return old._replace(next_try_at=None)
    return old


def _over(old: Decision, new: Decision) -> Decision:
    return old._replace(
        decided_at=new.decided_at, outcome="refused", reason=CYCLE_OVER, detail=OVER, next_try_at=None
    )


def after_end(decision: Decision, renewal: Renewal, now: datetime) -> Decision:
    """The decision once its renewal has ended without a top-up that is kept."""
    told = decision._replace(decided_at=now)
    reason = renewal.reason or renewal.state
    if reason == "price_changed":
        return _too_dear(told, renewal)
    if reason.startswith("declined"):
        return told._replace(
            outcome="refused",
            reason="declined",
            detail=f"The payment was declined ({reason}), with every method of the rule.",
        )
    ending = {"cancelled": "was called off", "refunded": "was given back"}.get(renewal.state, "failed")
    return told._replace(outcome="refused", reason=reason, detail=f"The renewal {ending}: {reason}.")


def _too_dear(decision: Decision, renewal: Renewal) -> Decision:
    if decision.bound_by in ASKS:
        reason = "price_above_consent" if decision.bound_by == "consent" else "cap_charge"
        return decision._replace(outcome="asked", reason=reason, detail=_asked(decision, renewal))
    return decision._replace(
        outcome="refused",
        reason=decision.bound_by or "price_above_consent",
        detail="It costs more than the rule's caps have left: nothing was charged.",
    )


def _asked(decision: Decision, renewal: Renewal) -> str:
    """The price beside the limit that it is above, and what is to be done; an older catalog names none."""
    told = "It costs more than was agreed to: nothing was charged, and the payer was asked."
    price, terms = renewal.amount_minor, renewal.agreed
    if price is None:
        return told
    limit, todo = f"mandate {decision.mandate_id} allows", f"Record a mandate for {price} or more"
    if decision.bound_by != "consent":
        limit, todo = "the rule allows per charge", f"Set the rule with a cap_amount_minor of {price} or more"
    return (
        f"{told} {terms.offering_id} costs {price} {terms.currency} in minor units; {limit} "
        f"{terms.max_amount_minor}. {todo}, and it goes on by itself while the cycle lasts."
    )
