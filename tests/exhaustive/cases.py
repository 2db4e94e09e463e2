"""The cases that are explored, each to its end: who meets whom, and what goes wrong how often."""

from dataclasses import replace
from typing import Final

from services.provisioning.topups.domain.attempt import Capabilities
from tests.exhaustive.case import (
    ABLE,
    BANKS,
    CARRIERS,
    EVERYTHING,
    FIRST,
    LINES,
    NETWORK,
    PURSE,
    TWO_PSPS,
    WORKERS,
    Case,
    card,
)

_AROUND_THE_CARRIER: Final = dict.fromkeys((*NETWORK, *WORKERS, *LINES, *CARRIERS), 1)
_SLOW_TO_SHOW: Final = 20.0
_CHANGED_MINDS: Final = ("late capture", "refund fails", "refund returns")
_PEOPLE: Final = {"customer": 1, "operator": 1}


def _carrier(name: str, about: str, can: Capabilities) -> Case:
    return Case(name, f"a carrier {about}", 2, carrier=can, prices=_AROUND_THE_CARRIER)


CASES: Final = (
    Case(
        "once each",
        "a duplicate, a crash and a zombie on one path, while declines and a broken carrier are free",
        3,
        prices={"duplicate": 1, "crash": 1, "zombie": 1, "soft decline": 0, "carrier broken": 0},
    ),
    Case(
        "every outcome",
        "three of whatever PSP and carrier can answer or do later, on calm lines",
        3,
        prices=dict.fromkeys((*BANKS, *CARRIERS), 1),
    ),
    Case(
        "everything", "two of everything that can go wrong, cards of one PSP", 2, prices=EVERYTHING | _PEOPLE
    ),
    Case(
        "two PSPs", "the same with a card at each of two, begun by a rule", 2, methods=TWO_PSPS, origin="rule"
    ),
    Case("purse", "the same with a wallet after the card", 2, methods=(card(1, FIRST), PURSE)),
    Case("purse first", "the same with a wallet before the card", 2, methods=(PURSE, card(1, FIRST))),
    Case(
        "disputes",
        "what banks and the customer do, chargebacks and refunds by others among them",
        2,
        prices=dict.fromkeys((*BANKS, "early timer", "dispute", "refunded elsewhere", "customer"), 1),
    ),
    Case(
        "by hand",
        "operators who retry, resolve, cancel, refund and close, where little is ever known",
        2,
        carrier=Capabilities(honours_keys=False, queries=False, cancels=False),
        prices=dict.fromkeys(("answer lost", "refund refused", "early timer", "release by hand"), 1)
        | _PEOPLE,
    ),
    Case(
        "by hand, called off",
        "the same where the carrier calls off, and may yet be at it when people close it",
        3,
        prices=dict.fromkeys(("answer lost", "request delayed", "duplicate", "early timer"), 1)
        | {"question unanswered": 1, "operator": 1, "release by hand": 0},
    ),
    Case(
        "webhooks",
        "a PSP that says unasked what it answers, too",
        2,
        prices=dict.fromkeys((*WORKERS, *LINES, "late capture", "early timer"), 1),
        tells_all=True,
    ),
    Case(
        "keyless PSP",
        "a PSP that remembers no keys",
        2,
        psp=replace(ABLE, honours_keys=False),
        prices=dict.fromkeys((*WORKERS, *LINES, *BANKS), 1),
    ),
    _carrier(
        "keyless carrier", "without keys", Capabilities(honours_keys=False, visibility_seconds=_SLOW_TO_SHOW)
    ),
    _carrier("deaf carrier", "that cannot be asked", Capabilities(queries=False)),
    _carrier(
        "stubborn carrier",
        "that cannot call off",
        Capabilities(cancels=False, visibility_seconds=_SLOW_TO_SHOW),
    ),
    _carrier(
        "keyless and stubborn",
        "without keys, that cannot call off",
        Capabilities(honours_keys=False, cancels=False, visibility_seconds=_SLOW_TO_SHOW),
    ),
    _carrier(
        "only calls off",
        "without keys, that cannot be asked",
        Capabilities(honours_keys=False, queries=False),
    ),
    _carrier(
        "neither nor",
        "with neither keys nor questions nor calling off",
        Capabilities(honours_keys=False, queries=False, cancels=False),
    ),
    Case(
        "lying carrier",
        "a carrier that refuses and applies later, and cannot always be reached to call that off",
        3,
        prices=dict.fromkeys(("late top-up", "answer lost", "no connection", "early timer"), 1),
    ),
    Case(
        "found later",
        "an answer that is lost until the payment has ended, and money that is found then",
        2,
        prices=dict.fromkeys((*_CHANGED_MINDS, "answer lost", "crash", "zombie", "duplicate"), 1),
    ),
    Case("told late", "the customer is still to be told that it takes longer", 1, is_told=False),
    Case("free", "a price of zero", 1, amount_minor=0),
    Case("not sold", "catalog refuses", 2, is_sold=False),
)
