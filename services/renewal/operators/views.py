"""What the operators' API takes and shows: bodies of decisions, proposals, lines of the audit."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import Field

from services.renewal.operators.domain.decision import Finding, Outcome
from services.renewal.operators.domain.proposal import Proposal, ProposalState
from services.renewal.operators.store import AuditLine
from shared.contracts.fields import Count, Text
from shared.http.body import Answer, Body

Why = Annotated[Text, Field(min_length=3, description="For the audit: what was looked at, why it is right.")]
Version = Annotated[Count, Field(description="Of the renewal that the decision was made on.")]


class Because(Body):
    """Why something is approved, rejected or stopped."""

    why: Why


class Seen(Because):
    """A decision about a renewal as it was seen."""

    version: Version


class Act(Seen):
    """`retry`: the step's command again, now. `cancel`: give up while no money was taken."""

    action: Literal["retry", "cancel"]


class Refund(Seen):
    """Give the money back, once provisioning has promised to apply nothing."""


class Resolve(Seen):
    """What an unknown outcome turned out to be: the authority makes it a fact, the renewal follows that."""

    found: Finding


class Release(Seen):
    """Close a parked renewal as decided: the last resort."""

    outcome: Outcome


class ProposalView(Answer):
    """What one operator wants done with money. Another one approves it on the version it was made on."""

    proposal_id: UUID
    renewal_id: UUID
    version: int
    action: str
    choice: str | None
    why: str
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    state: ProposalState
    decided_by: str | None
    decided_at: datetime | None
    decided_why: str | None


class AuditView(Answer):
    """Who did what and why. `before` and `after` are the renewal as it was and as it became."""

    audit_id: int
    at: datetime
    operator: str
    step: str
    action: str
    choice: str | None
    why: str
    renewal_id: UUID | None
    proposal_id: UUID | None
    job_id: UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def proposal_view(proposal: Proposal, now: datetime) -> ProposalView:
    return ProposalView.model_validate(proposal._asdict() | {"state": proposal.state_at(now)})


def audit_view(line: AuditLine) -> AuditView:
    told = {
        "before": line.before and orjson.loads(line.before),
        "after": line.after and orjson.loads(line.after),
    }
    return AuditView.model_validate(line._asdict() | told)
