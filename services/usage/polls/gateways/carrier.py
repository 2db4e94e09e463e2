"""What every carrier's gateway offers to usage."""

from datetime import datetime
from typing import Final, Literal, NamedTuple, Protocol

OTHERS: Final = "*"
"""The lane of every carrier that was not named."""

AnswerKind = Literal["answered", "refused", "unreadable", "no_answer"]


class BalanceAnswer(NamedTuple):
    """What the carrier says is left; nothing unless it `answered`."""

    kind: AnswerKind
    remaining_bytes: int = 0
    expires_at: datetime | None = None
    is_outage: bool = False


class BalanceGateway(Protocol):
    """One outside system. It is only asked, never changed."""

    async def balance(self, iccid: str) -> BalanceAnswer:
        """What the eSIM has left now. Never raises for an answer; has its own deadline."""
        ...
