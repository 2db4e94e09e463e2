"""How a renewal must end, told from its plan alone: where nothing that befalls it is anybody's excuse."""

from __future__ import annotations

from typing import Final

from deploy.sandbox.behaviours import BEHAVIOURS, ICCID_CODES
from tests.simulation.plan import PRICE_MINOR, Plan, Subscriber, Wish, behaviour_of

_OUR_OWN: Final = ("crash.", "zombie.", "database.", "kafka.", "clock.")
"""What breaks in our own house. It costs time; it may cost nobody their renewal."""
_ANY: Final = frozenset({"completed", "refunded", "failed", "cancelled", "parked"})


def possible_ends(plan: Plan, wish: Wish) -> frozenset[str]:
    """The states in which the wish's renewal may be when all is over."""
    if "timers" not in plan.nets_off and not _is_plain(plan, wish.subscriber):
        return _ANY
    if wish.max_amount_minor < PRICE_MINOR and not wish.subscriber.has_rule:
        return frozenset({"failed"} if wish.cancels_after is None else {"failed", "cancelled"})
    ends = {"completed"}
    if all(_declines(behaviour_of(card.token)) for card in wish.subscriber.cards):
        ends = {"failed"}
    elif ICCID_CODES[wish.subscriber.iccid[7:9]][0].startswith("rejected"):
        ends = {"refunded"}
    shown = {rule["behaviour"] for rules in plan.rules.values() for rule in rules}
    ends |= {"failed"} if any(map(_declines, shown)) else set()
    ends |= {"refunded"} if any(name.startswith("rejected") for name in shown) else set()
    if wish.cancels_after is not None or wish.in_person_after is not None:
        ends |= {"cancelled", "refunded"}
    return frozenset(ends)


def _is_plain(plan: Plan, subscriber: Subscriber) -> bool:
    """Whether neither its PSP nor its carrier nor the way to them gives it any trouble."""
    theirs = [*plan.chances, *(rule for rules in plan.rules.values() for rule in rules)]
    if not all(str(kind).startswith(_OUR_OWN) for kind in theirs):
        return False
    first = subscriber.cards[0]
    pays = behaviour_of(first.token) is None
    rich = first.token is not None or subscriber.balance_minor >= 3 * PRICE_MINOR
    return pays and rich and subscriber.iccid[7:9] == "00"


def _declines(behaviour: str | None) -> bool:
    return behaviour is not None and BEHAVIOURS[behaviour].decision == "refuse"
