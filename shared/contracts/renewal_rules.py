"""`renewal-rules.v1` (compacted): when each subscription's rule wants to hear that data is running out."""

from typing import ClassVar

from shared.contracts.fields import AheadSeconds, GrantedBytes, Id, Percent
from shared.contracts.message import State


class RenewalRuleChanged(State):
    """What a rule asks of whoever counts; nothing about money. None: the carrier's setting holds."""

    topic: ClassVar[str] = "renewal-rules.v1"
    subscription_id: Id
    enabled: bool
    paused: bool
    threshold_percent: Percent | None = None
    """Of what the cycle granted; with `threshold_bytes` too, whichever is more."""
    threshold_bytes: GrantedBytes | None = None
    predicted_seconds: AheadSeconds | None = None
    """This long before it would be used up."""
    expiring_seconds: AheadSeconds | None = None
    """This long before all that is left lapses."""
    lead_seconds: AheadSeconds | None = None
    """So long it may take from a trigger until the rule charges: its notice, and the quiet hours in which
    that may end. Where the rule names no time of its own, it is to hear so much earlier."""

    @property
    def key(self) -> str:
        return self.subscription_id
