"""Keys that were set aside, and what two operators decide about them. Pure: no clock, no database.

A key is let go once the cause is removed; a record that must never be handled is discarded, alone. What was
seen is told by a version: the place and the instant of the record that was set aside first. Records that
queue behind it later change nothing about the decision; that the key was handled meanwhile does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

Action = Literal[
    "release",  # let a key go: all its records are handled, in order
    "discard",  # forget one record, for good
    "hold",  # keep a key back that was let go and fails again; one operator may
]
ProposalState = Literal["open", "approved", "rejected", "expired"]

PROPOSALS_LIVE: Final = timedelta(hours=4)
MOST_KEYS: Final = 100
"""Of one proposal: as many as a consumer takes at once."""


class WaitingKey(NamedTuple):
    """One key of one consumer, with the record that was set aside first."""

    consumer: str
    key_id: str
    """A digest of the key, which may name an eSIM and so has no place in an address."""
    key: bytes | None
    version: str
    records: int
    since: datetime
    released_at: datetime | None
    topic: str
    type: str
    reason: str

    @property
    def allowed(self) -> list[Action]:
        """What an operator may do to it as it is."""
        return ["discard", "release"] if self.released_at is None else ["discard", "hold"]


class Place(NamedTuple):
    """Where a record was read."""

    topic: str
    partition: int
    offset: int


class KeyProposal(NamedTuple):
    """The row of a proposal, in the order in which set_aside_store.py reads it."""

    proposal_id: UUID
    action: Action
    consumer: str
    key_ids: Sequence[str]
    versions: Sequence[str]
    """Of the keys, in their order, as the one who proposed had seen them."""
    record_topic: str | None
    record_partition: int | None
    record_offset: int | None
    why: str
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    state: ProposalState = "open"
    decided_by: str | None = None
    decided_at: datetime | None = None
    decided_why: str | None = None

    @property
    def seen(self) -> dict[str, str]:
        """The versions by the ids of their keys."""
        return dict(zip(self.key_ids, self.versions, strict=True))

    @property
    def record(self) -> Place | None:
        """What is to be discarded."""
        if self.record_topic is None or self.record_partition is None or self.record_offset is None:
            return None
        return Place(self.record_topic, self.record_partition, self.record_offset)

    def state_at(self, now: datetime) -> ProposalState:
        """An open one is over when its time is, whether or not anybody has written that down."""
        return "expired" if self.state == "open" and now >= self.expires_at else self.state


class Objection(NamedTuple):
    """Why something is not done: a problem's type, and a sentence with what to do now."""

    problem: Literal[
        "set-aside-proposal-not-open",
        "second-person-needed",
        "set-aside-key-not-found",
        "set-aside-has-moved",
        "set-aside-not-possible-now",
    ]
    detail: str


def against_approval(proposal: KeyProposal, approver: str, now: datetime) -> Objection | None:
    """Why this person cannot approve it now; None where they can."""
    over = against_decision(proposal, now)
    if over is None and approver == proposal.proposed_by:
        return Objection(
            "second-person-needed",
            f"{approver} proposed it, so somebody else must approve it, until "
            f"{proposal.expires_at:%Y-%m-%d %H:%M} UTC. Possible for {approver} now: reject.",
        )
    return over


def against_decision(proposal: KeyProposal, now: datetime) -> Objection | None:
    """Why nobody can decide about it any more; None while it is open."""
    state = proposal.state_at(now)
    if state == "open":
        return None
    return Objection(
        "set-aside-proposal-not-open", _OVER[state].format(proposal.decided_by, proposal.expires_at)
    )


_OVER: Final[dict[ProposalState, str]] = {
    "approved": "It was approved by {0} and carried out. Look at what waits now.",
    "rejected": "It was rejected by {0}. Where it is still right, propose it anew.",
    "expired": "Nobody approved it before {1:%Y-%m-%d %H:%M} UTC. Where it is still right, propose it anew.",
}


def against(action: Action, key_id: str, version: str, key: WaitingKey | None) -> Objection | None:
    """Why that cannot be done to the key as it was seen; None where it can."""
    if key is None:
        return Objection(
            "set-aside-key-not-found",
            f"No record of the key {key_id} waits: it was handled, or never set aside. Look at what waits.",
        )
    if key.version != version:
        return Objection(
            "set-aside-has-moved",
            f"The decision was made on version {version}, the key {key_id} is in version {key.version} now. "
            "Look at its records again, then decide again.",
        )
    if action not in key.allowed:
        how = "waits" if key.released_at is None else f"was let go at {key.released_at:%Y-%m-%d %H:%M:%S} UTC"
        return Objection(
            "set-aside-not-possible-now", f"The key {key_id} {how}. Possible now: {', '.join(key.allowed)}."
        )
    return None
