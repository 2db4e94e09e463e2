"""Every way the sandbox can behave, as one table; and how a card token or an ICCID names a row of it.

A call passes three stages, and a behaviour acts at one or more of them:
  door      before anything is read or remembered: no effect
  decision  what the PSP or the carrier decides: remembered under the key like any true answer
  delivery  the true answer exists and is remembered, but does not arrive as it should
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

ALL_CALLS: Final = -1
"""`times` of a behaviour shown by every executed call (a replayed answer arrives well)."""
REPLAYS_TOO: Final = -2
"""`times` of a behaviour whose replayed answers are lost or broken as well: only asking helps."""

CHARGES: Final = ("create_intent", "confirm_intent")
REFUNDS: Final = ("create_refund",)
TOPUPS: Final = ("apply_topup",)
WEBHOOKS: Final = ("webhook",)
PSP, CARRIER, BOTH = ("psp",), ("carrier",), ("psp", "carrier")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row. `operations` empty: any operation (door and delivery do not care what is asked)."""

    name: str
    servers: tuple[str, ...]
    door: str = ""  # silence, error, limit
    decision: str = "accept"
    delivery: str = ""  # silence, slow, garbage, error
    refund: str = "accept"
    webhook: str = ""  # duplicate, late, forged, lost
    forgets: bool = False  # the key is not remembered
    code: str = ""
    detail: str = ""  # the decline code, or the sentence of a rejection
    seconds: float = 2.0  # how late, or how slow, unless a fault says otherwise
    operations: tuple[str, ...] = ()


def _decline(detail: str, *, code: str = "card_declined", name: str = "") -> Behaviour:
    name = name or f"decline_{detail}"
    return Behaviour(name, PSP, decision="refuse", code=code, detail=detail, operations=CHARGES)


def _charge(name: str, decision: str) -> Behaviour:
    return Behaviour(name, PSP, decision=decision, operations=CHARGES)


def _reject(name: str, code: str, detail: str) -> Behaviour:
    return Behaviour(name, CARRIER, decision="refuse", code=code, detail=detail, operations=TOPUPS)


def _both(name: str, decision: str, delivery: str = "") -> Behaviour:
    return Behaviour(name, BOTH, decision=decision, delivery=delivery, operations=CHARGES + TOPUPS)


_TABLE: Final = (
    Behaviour("ok", BOTH),
    # door: nothing happened
    Behaviour("timeout_before", BOTH, door="silence"),
    Behaviour("server_error", BOTH, door="error"),
    Behaviour("rate_limited", BOTH, door="limit", seconds=1.0),
    # delivery: it happened, the answer is lost, late or broken
    Behaviour("timeout_after", BOTH, delivery="silence"),
    Behaviour("server_error_after", BOTH, delivery="error"),
    Behaviour("slow", BOTH, delivery="slow"),
    Behaviour("garbage", BOTH, delivery="garbage"),
    Behaviour("forgotten_key", BOTH, forgets=True),
    # decision: soft declines
    _decline("insufficient_funds"),
    _decline("do_not_honor"),
    _decline("generic_decline", name="decline_generic"),
    _decline("try_again_later"),
    _decline("processing_error", code="processing_error"),
    # decision: hard declines
    _decline("lost_card"),
    _decline("stolen_card"),
    _decline("fraudulent"),
    _decline("pickup_card"),
    _decline("incorrect_number", code="incorrect_number"),
    _decline("revocation_of_authorization"),
    _decline("expired_card", code="expired_card"),
    # decision: the customer is needed, on this page (200) or away from it (402)
    _charge("sca", "ask"),
    _decline("authentication_required", code="authentication_required", name="sca_off_session"),
    # decision: not yet, or not what was said
    _both("processing", "later_accept"),
    _both("processing_fails", "later_refuse"),
    _both("late_success", "refuse_then_accept"),
    _both("timeout_late", "unseen_then_accept", delivery="silence"),
    _both("server_error_kept", "fail"),
    _charge("dispute", "accept_then_dispute"),
    # decision: refunds of a charge made with this token
    Behaviour("refund_fails", PSP, refund="fail", operations=REFUNDS),
    Behaviour("refund_fails_later", PSP, refund="accept_then_fail", operations=REFUNDS),
    Behaviour("refund_pending", PSP, refund="later_accept", operations=REFUNDS),
    Behaviour("refund_pending_fails", PSP, refund="later_fail", operations=REFUNDS),
    # decision: the carrier will not
    _reject("rejected", "profile_not_eligible", "The profile may not buy this product."),
    _reject("rejected_iccid_unknown", "iccid_unknown", "No profile has this ICCID."),
    _reject("rejected_product_unavailable", "product_unavailable", "The product is not sold any more."),
    # webhooks
    Behaviour("webhook_duplicate", PSP, webhook="duplicate", operations=WEBHOOKS),
    Behaviour("webhook_late", PSP, webhook="late", operations=WEBHOOKS),
    Behaviour("webhook_forged", PSP, webhook="forged", operations=WEBHOOKS),
    Behaviour("webhook_lost", PSP, webhook="lost", operations=WEBHOOKS),
)
BEHAVIOURS: Final = {row.name: row for row in _TABLE}
OK: Final = BEHAVIOURS["ok"]

TIMES: Final = {"once": 1, "twice": 2, "always": REPLAYS_TOO}
"""The word after a behaviour's name: how many calls for the same renewal show it."""

ICCID_PREFIX: Final = "8999990"
ICCID_CODES: Final[dict[str, tuple[str, int]]] = {
    "00": ("ok", ALL_CALLS),
    "10": ("rejected", ALL_CALLS),
    "11": ("rejected_iccid_unknown", ALL_CALLS),
    "12": ("rejected_product_unavailable", ALL_CALLS),
    "13": ("rejected", 1),
    "20": ("server_error", ALL_CALLS),
    "21": ("server_error", 1),
    "22": ("server_error_after", ALL_CALLS),
    "23": ("server_error_after", 1),
    "24": ("server_error_kept", ALL_CALLS),
    "25": ("server_error_kept", 1),
    "30": ("timeout_before", ALL_CALLS),
    "31": ("timeout_before", 1),
    "32": ("timeout_after", ALL_CALLS),
    "33": ("timeout_after", 1),
    "34": ("timeout_after", REPLAYS_TOO),
    "35": ("timeout_late", ALL_CALLS),
    "36": ("timeout_late", 1),
    "40": ("slow", ALL_CALLS),
    "41": ("slow", 1),
    "50": ("garbage", ALL_CALLS),
    "51": ("garbage", 1),
    "52": ("garbage", REPLAYS_TOO),
    "60": ("rate_limited", ALL_CALLS),
    "61": ("rate_limited", 1),
    "70": ("processing", ALL_CALLS),
    "71": ("processing_fails", ALL_CALLS),
    "72": ("late_success", ALL_CALLS),
    "80": ("forgotten_key", ALL_CALLS),
}
"""The two digits after ICCID_PREFIX. A code that is not listed is ok, like every other ICCID."""

Chosen = tuple[Behaviour, int]
"""A behaviour and its `times`."""
OK_ALWAYS: Final[Chosen] = (OK, ALL_CALLS)


def of_iccid(iccid: str) -> Chosen:
    if not iccid.startswith(ICCID_PREFIX):
        return OK_ALWAYS
    name, times = ICCID_CODES.get(iccid[7:9], ("ok", ALL_CALLS))
    return BEHAVIOURS[name], times


@lru_cache(maxsize=4096)
def of_token(token: str) -> Chosen | None:
    """Longest behaviour name wins: `tok_decline_lost_card_once_of-anna`. None: no such card."""
    words = token.split("_")
    if words[0] != "tok":
        return None
    for end in range(len(words), 1, -1):
        row = BEHAVIOURS.get("_".join(words[1:end]))
        if row is not None and "psp" in row.servers:
            return row, TIMES.get(words[end], ALL_CALLS) if end < len(words) else ALL_CALLS
    return None


def rows_for(server: str) -> Iterable[Behaviour]:
    """The behaviours a server can show."""
    return (row for row in _TABLE if server in row.servers)
