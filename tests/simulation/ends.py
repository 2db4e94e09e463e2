"""How a renewal must end, told from its plan alone: where nothing that befalls it is anybody's excuse."""

from __future__ import annotations

from typing import Final

from deploy.sandbox.behaviours import BEHAVIOURS, ICCID_CODES
from tests.simulation.plan import (
    PRICE_MINOR,
    RICH_MINOR,
    TOO_LATE_SECONDS,
    Plan,
    Subscriber,
    Wish,
    behaviour_of,
)

_OUR_OWN: Final = ("crash.", "zombie.", "database.", "kafka.", "clock.")
"""What breaks in our own house. It costs time; it may cost nobody their renewal."""
_ANY: Final = frozenset({"completed", "refunded", "failed", "cancelled", "parked"})


def possible_ends(plan: Plan, wish: Wish) -> frozenset[str]:
    """The states in which the wish's renewal may be when all is over."""
    if "timers" not in plan.nets_off and not _is_plain(plan, wish.subscriber):
        return _ANY
    if wish.max_amount_minor < PRICE_MINOR and not wish.subscriber.has_rule:
        return frozenset({"failed"} if wish.cancels_after is None else {"failed", "cancelled"})
    psp, carrier = _shown(plan, "psp"), _shown(plan, "carrier")
    cards = [behaviour_of(card.token) for card in wish.subscriber.cards]
    on_file = ICCID_CODES[wish.subscriber.iccid[7:9]][0]
    # A rule comes before what the card or the ICCID would do; what it delays for an hour is called off.
    pays = not all(map(_declines, [*cards, *psp]))
    fails = all(map(_declines, cards)) or any(map(_declines, psp)) or _is_too_late(plan, "psp")
    applies = not all(map(_rejects, [on_file, *carrier]))
    returns = any(map(_rejects, [on_file, *carrier])) or _is_too_late(plan, "carrier")
    # Who asks in person calls off whatever their rule has begun: for this wish, or for another one.
    theirs = [each for each in plan.wishes if each.subscriber == wish.subscriber]
    called_off = wish.cancels_after is not None or any(each.in_person_after is not None for each in theirs)
    ends = {"completed"} if pays and applies else set()
    ends |= {"failed"} if fails else set()
    ends |= {"refunded"} if (pays and returns) or called_off else set()
    ends |= {"cancelled"} if called_off else set()
    if "refunded" in ends and "dispute" in (*cards, *psp):
        ends |= {"parked"}  # the bank has taken the money, so it cannot be sent back
    return frozenset(ends)


def _shown(plan: Plan, server: str) -> list[str]:
    return [str(rule["behaviour"]) for rule in plan.rules.get(server, ())]


def _is_too_late(plan: Plan, server: str) -> bool:
    return any(rule.get("seconds") == TOO_LATE_SECONDS for rule in plan.rules.get(server, ()))


def _is_plain(plan: Plan, subscriber: Subscriber) -> bool:
    """Whether neither its PSP nor its carrier nor the way to them gives it any trouble."""
    theirs = [*plan.chances, *(rule for rules in plan.rules.values() for rule in rules)]
    if not all(str(kind).startswith(_OUR_OWN) for kind in theirs):
        return False
    first = subscriber.cards[0]
    pays = behaviour_of(first.token) is None
    rich = first.token is not None or subscriber.balance_minor >= RICH_MINOR
    return pays and rich and subscriber.iccid[7:9] == "00"


def _declines(behaviour: str | None) -> bool:
    return behaviour is not None and BEHAVIOURS[behaviour].decision == "refuse"


def _rejects(behaviour: str) -> bool:
    return behaviour.startswith("rejected")
