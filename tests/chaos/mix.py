"""How the cards and carriers of the load behave: most well, the others in every way the sandbox knows.

What a renewal ends as cannot be told beforehand here, because gateways lie besides; what must hold of it can.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple


class Traits(NamedTuple):
    """The behaviour of each card, in the order in which they pay, and the carrier's by an ICCID's code."""

    cards: tuple[str, ...] = ("ok",)
    carrier_code: str = "00"


WELL_BEHAVED_SHARE: Final = 0.6
WELL_BEHAVED: Final = Traits()

DEVIATIONS: Final[tuple[Traits, ...]] = (
    # The PSP does nothing, or does it and says so badly, late or never.
    Traits(("timeout_before_once",)),
    Traits(("timeout_after_once",)),
    Traits(("timeout_after_always",)),
    Traits(("timeout_late_once",)),
    Traits(("server_error_twice",)),
    Traits(("server_error_after_once",)),
    Traits(("server_error_kept_once",)),
    Traits(("rate_limited_once",)),
    Traits(("garbage_always",)),
    Traits(("slow",)),
    Traits(("processing",)),
    Traits(("processing_fails", "ok")),
    Traits(("forgotten_key",)),
    Traits(("webhook_duplicate",)),
    Traits(("webhook_forged",)),
    # The bank says no, changes its mind, or wants the customer.
    Traits(("decline_insufficient_funds", "ok")),
    Traits(("decline_do_not_honor_once",)),
    Traits(("decline_lost_card",)),
    Traits(("late_success", "ok")),
    Traits(("late_success",)),
    Traits(("sca",)),
    Traits(("sca_off_session", "ok")),
    Traits(("dispute",)),
    # The carrier does nothing, or does it and says so badly, late or never.
    Traits(carrier_code="21"),  # fails once
    Traits(carrier_code="23"),  # applies, says that it failed, once
    Traits(carrier_code="25"),  # fails, and keeps saying so under that key
    Traits(carrier_code="31"),  # silent before, once
    Traits(carrier_code="33"),  # silent afterwards, once
    Traits(carrier_code="34"),  # silent afterwards, always: only asking helps
    Traits(carrier_code="36"),  # silent, applies later
    Traits(carrier_code="41"),  # slow
    Traits(carrier_code="52"),  # garbage, always
    Traits(carrier_code="61"),  # too many requests
    Traits(carrier_code="70"),  # decided later
    # The carrier will not: the money goes back.
    Traits(carrier_code="10"),
    Traits(carrier_code="13"),  # refuses once
    Traits(carrier_code="71"),  # decided later, to the contrary
    Traits(carrier_code="72"),  # refuses and applies it after all, unless it is called off
    Traits(("timeout_after_once",), "10"),
    Traits(("refund_pending",), "10"),
    Traits(("slow",), "72"),
    # One after the other: a top-up is tried again though the payment was, too.
    Traits(("decline_insufficient_funds", "ok"), "61"),
    Traits(("rate_limited_once",), "25"),
    Traits(("late_success",), "61"),
    Traits(("processing",), "71"),
)


def drawn(random: Random, number: int) -> Iterator[Traits]:
    """Traits for that many subscribers. Every deviation comes before any comes again."""
    deck: list[Traits] = []
    for _ in range(number):
        if random.random() < WELL_BEHAVED_SHARE:
            yield WELL_BEHAVED
            continue
        if not deck:
            deck = random.sample(DEVIATIONS, len(DEVIATIONS))
        yield deck.pop()
