"""One renewal as the saga sees it: its row, its states and the history it leaves behind."""

from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from shared.contracts.message import Terms

OpenState = Literal[
    "requested",  # admitted, waiting for a price
    "priced",  # waiting for the payment
    "captured",  # waiting for the top-up
    "awaiting_customer",  # the payer must confirm the payment or name another method
    "cancelling_payment",  # given up: waiting to hear that no money is held
    "cancelling_top_up",  # given up: waiting to hear that nothing will be applied
    "refunding",  # nothing was applied: waiting for the money to go back
    "parked",  # a person must decide; the slot stays taken
]
ClosedState = Literal["completed", "refunded", "failed", "cancelled"]
State = Literal[OpenState, ClosedState]

OPEN_STATES: Final[tuple[OpenState, ...]] = (
    "requested",
    "priced",
    "captured",
    "awaiting_customer",
    "cancelling_payment",
    "cancelling_top_up",
    "refunding",
    "parked",
)
CLOSED_STATES: Final[tuple[ClosedState, ...]] = ("completed", "refunded", "failed", "cancelled")
STATES: Final[tuple[State, ...]] = (*OPEN_STATES, *CLOSED_STATES)
CLOSED: Final[frozenset[State]] = frozenset(CLOSED_STATES)

TopUpFinding = Literal["rejected", "cancelled", "undetermined"]

CustomerAction = Literal["confirm_payment", "choose_payment_method"]

Flag = Literal[
    "promise_broken",  # two authorities contradict each other: an operator case, never an exception
    "disputed",  # the payer went to the bank
    "refunded_elsewhere",  # the money went back without our asking
    "unresolved",  # payment could not learn in time whether money was taken
    "refund_failed_later",  # the refund was reported made, then failed
    "released",  # closed by people: what was settled outside stands in the note alone
]
SURPLUS_FLAG: Final = "surplus_refunded"
SETTLED: Final = "_settled"
"""Behind a flag that a person has dealt with."""


class Renewal(NamedTuple):
    """The row of a renewal, in the order in which store.py reads it.

    `terms` and `granted` stay JSON text (contracts.Terms, contracts.Grant): most messages change neither,
    so they are parsed only when something has to be said.
    """

    # Fixed at admission.
    renewal_id: UUID
    subscription_id: str
    terms: str
    cycle: int
    requested_at: datetime
    traceparent: str | None
    heard_at: datetime
    """When something was last heard or asked: silence is counted from here."""
    # How it stands: what the happy path never touches.
    deadline_at: datetime
    payment_method_id: str
    next_due_at: datetime | None = None
    reason: str | None = None
    """Why it was given up; stored when giving up begins, decides how it ends."""
    parked_from: State | None = None
    parked_reason: str | None = None
    payment_attempt: int = 1
    top_up_attempt: int = 1
    refund_attempt: int = 1
    spent: int = 0
    """Failures of the present step that reached the provider, whatever their reasons."""
    failures: str | None = None
    """By row of the policy, those that reached nobody, too: words `<row>:<times>:<spent>`, see retries.py."""
    asked: int = 0
    """How often silence was broken in this state."""
    retry_at: datetime | None = None
    action: CustomerAction | None = None
    """What the payer was asked for, until `action_before`."""
    action_before: datetime | None = None
    delayed: bool = False
    """The customer was told that it takes longer than promised."""
    promised_from: datetime | None = None
    """When the payer's turn ended: the promise counts anew from then. None: from `requested_at`."""
    top_up: TopUpFinding | None = None
    """What provisioning said instead of applying it, remembered even before the capture was seen."""
    refund_before: datetime | None = None
    """Until when a refund is tried again before a person must look."""
    flags: str = ""
    """Words separated by spaces: Flag, or `surplus_refunded_<ordinal>`."""
    # How far it is: facts that are only ever added to.
    state: State = "requested"
    version: int = 1
    amount_minor: int | None = None
    granted: str | None = None
    priced_at: datetime | None = None
    captured_at: datetime | None = None
    applied_at: datetime | None = None
    top_up_cycle: int | None = None
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def agreed(self) -> Terms:
        """The terms, parsed."""
        return Terms.model_validate_json(self.terms)

    def has_flag(self, flag: str) -> bool:
        return flag in self.flags.split()

    def flagged(self, flag: str) -> str:
        """The flags with this one among them."""
        return self.flags if self.has_flag(flag) else f"{self.flags} {flag}".strip()

    def settled(self, *flags: Flag) -> str:
        """The flags once a person has settled these: still known, so that a repeat opens no case again."""
        return " ".join(f"{word}{SETTLED}" if word in flags else word for word in self.flags.split())


_HOW_IT_STANDS: Final = slice(Renewal._fields.index("deadline_at"), Renewal._fields.index("state"))


def only_went_on(before: Renewal, after: Renewal, now: datetime) -> bool:
    """Whether it only got further, as on the happy path: a fraction of its columns has to be written."""
    return after.heard_at == now and before[_HOW_IT_STANDS] == after[_HOW_IT_STANDS]


class HistoryEntry(NamedTuple):
    """One line of a renewal's history: which message moved it, from where to where, and why."""

    renewal_id: UUID
    version: int
    at: datetime
    message: str
    from_state: State | None
    """Not stored: it is the `to_state` of the line before."""
    to_state: State
    attempt: int | None
    reason: str | None
    detail: str | None
