"""What reaches the saga without being an event: time that passed, and what people ask for.

Each is a message of the matrix like any event. `attempt` is None: none of them belongs to an attempt.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Timer:
    """Something became due."""

    attempt: ClassVar[int | None] = None


class Silence(Timer):
    """Nobody answered for as long as the state's patience."""


class Deadline(Timer):
    """The time in which the renewal may still begin its effects is over."""


class DelayPromise(Timer):
    """It takes longer than was promised to the customer."""


class RetryDue(Timer):
    """A back-off has passed."""


@dataclass(frozen=True, slots=True)
class Action:
    """Somebody asks for something. `actor` names them in the history; of two, `approver` came second."""

    actor: str
    why: str = field(default="", kw_only=True)
    approver: str | None = field(default=None, kw_only=True)
    attempt: ClassVar[int | None] = None

    @property
    def signed(self) -> str:
        """Who decided, as an authority is told: one name, or two with a colon between."""
        return self.actor if self.approver is None else f"{self.actor}:{self.approver}"

    @property
    def told(self) -> str:
        """Who decided and why, for the history."""
        return self._told(self.why)

    def _told(self, why: str) -> str:
        by = f"by {self.actor}" + (f", approved by {self.approver}" if self.approver else "")
        return f"{by}: {why}" if why else by


class CustomerCancels(Action):
    """The customer, or who speaks for them, does not want it any more."""


@dataclass(frozen=True, slots=True)
class CustomerRetries(Action):
    """The payer confirmed the payment anew or named another method."""

    payment_method_id: str


class OperatorRetries(Action):
    """Say the step's command again, now: where somebody could answer it otherwise than before."""


class OperatorCancels(Action):
    """Give up while no money was taken: to give money back takes two (OperatorRefunds)."""


class OperatorRefunds(Action):
    """Give the money back: only after provisioning promised that nothing is or will be applied."""


@dataclass(frozen=True, slots=True)
class OperatorResolves(Action):
    """A finding about an unknown outcome; the authority turns it into a fact."""

    decision: Literal["applied", "not_applied", "captured", "not_captured", "refunded"]


@dataclass(frozen=True, slots=True)
class OperatorReleases(Action):
    """Close a parked renewal as decided: the last resort, audited by `note`."""

    outcome: Literal["completed", "refunded", "failed", "cancelled"]
    note: str

    @property
    def told(self) -> str:
        return self._told(self.note)
