"""A proposal: what one operator wants done with money, until a second one has looked at it."""

from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

from services.renewal.domain.renewal import Renewal
from services.renewal.operators.domain.decision import ActionName, Choice, Decision

ProposalState = Literal[
    "open",  # waits for a second person
    "approved",  # done, at once
    "rejected",  # somebody was against it, or it was taken back
    "superseded",  # the renewal had moved, and something was proposed anew
    "expired",  # nobody approved it in time
]


class Proposal(NamedTuple):
    """The row of a proposal, in the order in which store.py reads it."""

    proposal_id: UUID
    renewal_id: UUID
    version: int
    """Of the renewal, as the one who proposed had seen it: what is approved is about that."""
    action: ActionName
    choice: Choice | None
    why: str
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    state: ProposalState = "open"
    decided_by: str | None = None
    decided_at: datetime | None = None
    decided_why: str | None = None

    @property
    def decision(self) -> Decision:
        return Decision(self.action, self.choice)

    def state_at(self, now: datetime) -> ProposalState:
        """An open one is over when its time is, whether or not anybody has written that down."""
        return "expired" if self.state == "open" and now >= self.expires_at else self.state


class Objection(NamedTuple):
    """Why a proposal cannot be approved: a problem's type, and a sentence with what to do now."""

    problem: Literal["proposal-not-open", "second-person-needed", "renewal-has-moved"]
    detail: str


def objection(proposal: Proposal, approver: str, renewal: Renewal, now: datetime) -> Objection | None:
    """Why this person cannot approve it now; None where they can."""
    state = proposal.state_at(now)
    if state != "open":
        return Objection("proposal-not-open", _OVER[state].format(proposal.decided_by, proposal.expires_at))
    if approver == proposal.proposed_by:
        return Objection(
            "second-person-needed",
            f"{approver} proposed it, so somebody else must approve it, until "
            f"{proposal.expires_at:%Y-%m-%d %H:%M} UTC. Possible for {approver} now: reject.",
        )
    if renewal.version != proposal.version:
        return Objection(
            "renewal-has-moved",
            f"It was proposed on version {proposal.version}, the renewal is {renewal.state} in version "
            f"{renewal.version} now. Look at it again; where it is still right, propose it anew.",
        )
    return None


_OVER: Final = {
    "approved": "It was approved by {0} and carried out. Look at the renewal's timeline.",
    "rejected": "It was rejected by {0}. Where it is still right, propose it anew.",
    "superseded": "The renewal moved and something else was proposed instead. Look at the open proposals.",
    "expired": "Nobody approved it before {1:%Y-%m-%d %H:%M} UTC. Where it is still right, propose it anew.",
}


def is_replaceable(proposal: Proposal, renewal: Renewal, now: datetime) -> bool:
    """Whether an open proposal can never be approved any more, so that another may take its place."""
    return proposal.state_at(now) != "open" or proposal.version != renewal.version
