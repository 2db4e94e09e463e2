"""Which of a rule's offerings is bought: the same, more, or less."""

from collections.abc import Sequence
from typing import NamedTuple

from services.renewal.domain.asking import Trigger
from services.renewal.rules.domain.rule import Offerings


class OfferingTerms(NamedTuple):
    """What is known of an offering that a rule names."""

    offering_id: str
    validity_seconds: int
    status: str


def chosen(offerings: Offerings, trigger: Trigger, known: Sequence[OfferingTerms]) -> str:
    """The offering to buy now. One that is not sold any more is not chosen: then it is the same again."""
    on_sale = {terms.offering_id for terms in known if terms.status == "on_sale"}
    if offerings.up in on_sale and _ran_out_early(offerings, trigger, known):
        return offerings.up or offerings.same
    if offerings.down in on_sale and _is_mostly_unused(offerings, trigger):
        return offerings.down or offerings.same
    return offerings.same


def _ran_out_early(offerings: Offerings, trigger: Trigger, known: Sequence[OfferingTerms]) -> bool:
    """Before so much of its validity had passed. Data that lapses did not run out."""
    validity = next((terms.validity_seconds for terms in known if terms.offering_id == offerings.same), None)
    if trigger.kind == "expiring" or trigger.lapsed_bytes or not validity:
        return False
    if trigger.cycle_began_at is None or trigger.occurred_at is None:
        return False
    lasted = (trigger.occurred_at - trigger.cycle_began_at).total_seconds()
    return lasted * 100 < validity * offerings.up_within_percent


def _is_mostly_unused(offerings: Offerings, trigger: Trigger) -> bool:
    """What has lapsed unused was not needed either."""
    if not trigger.granted_bytes or trigger.remaining_bytes is None:
        return False
    unused = trigger.remaining_bytes + (trigger.lapsed_bytes or 0)
    return unused * 100 >= trigger.granted_bytes * offerings.down_unused_percent
