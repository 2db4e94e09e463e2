"""What payment asks of every gateway: one call in, one outcome out, never an exception."""

from typing import Protocol

from services.payment.domain.calls import Call
from services.payment.domain.capabilities import Capabilities
from services.payment.domain.outcome import Outcome


class Gateway(Protocol):
    """An outside system that moves money. Each method makes one request, within its own deadline."""

    name: str
    capabilities: Capabilities

    async def create(self, call: Call) -> Outcome:
        """Make the renewal's object; no money moves. CREATED or FAILED."""

    async def confirm(self, call: Call) -> Outcome:
        """Take the money: the one request of a capture that has an effect."""

    async def ask(self, call: Call) -> Outcome:
        """What became of a capture, or of a payer who was to authenticate. Moves nothing."""

    def is_quiet(self, call: Call) -> bool:
        """Whether nothing sent for this call can be on its way or invisible: a question tells all."""

    async def void(self, call: Call) -> Outcome:
        """Make sure the object never takes money: VOIDED, or CAPTURED where it already has."""

    async def refund(self, call: Call) -> Outcome:
        """Send the money back."""

    async def ask_refund(self, call: Call) -> Outcome:
        """What became of a refund. Moves nothing."""

    async def close(self) -> None:
        """Close the connections."""
