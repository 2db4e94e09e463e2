"""What the API of keys that were set aside takes and shows. Long numbers are shown by their last digits."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from pydantic import Field, StringConstraints

from shared.http.body import Answer, Body
from shared.observability.masking import masked
from shared.operators.set_aside import MOST_KEYS, KeyProposal, ProposalState, WaitingKey
from shared.operators.set_aside_store import AuditLine, WaitingRecord

LONGEST_PAYLOAD = 4_000
"""Characters of a record that are shown."""

Why = Annotated[
    str,
    StringConstraints(min_length=3, max_length=500, pattern=r"^[^\x00]*$"),
    Field(description="For the audit: what was looked at, why it is right."),
]
ConsumerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
KeyId = Annotated[str, StringConstraints(pattern=r"^(none|[0-9a-f]{16})$")]
KeyVersion = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{12}$"),
    Field(description="Of the key that the decision was made on."),
]


class Because(Body):
    """Why something is approved or rejected."""

    why: Why


class SeenKey(Body):
    """A key as it was seen."""

    key_id: KeyId
    version: KeyVersion


class Release(Because):
    """Let these keys of a consumer go."""

    consumer: ConsumerName
    keys: Annotated[list[SeenKey], Field(min_length=1, max_length=MOST_KEYS)]


class Discard(Because):
    """Forget one record of a key."""

    version: KeyVersion
    topic: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    partition: Annotated[int, Field(ge=0, lt=2**31)]
    offset: Annotated[int, Field(ge=0, lt=2**63)]


class Hold(Because):
    """Keep back a key that was let go."""

    version: KeyVersion


class KeyView(Answer):
    """A key that waits, with the record that was set aside first: the cause."""

    consumer: str
    key_id: str
    key: str | None
    version: str
    records: int
    since: datetime
    released_at: datetime | None
    """Let go, and not handled yet: in a few seconds it is, or it has failed again."""
    topic: str
    type: str
    reason: str
    allowed: list[str]


class RecordView(Answer):
    """One record of a key."""

    topic: str
    partition: int
    offset: int
    type: str
    reason: str
    set_aside_at: datetime
    payload: str


class KeyProposalView(Answer):
    """What one operator wants done to keys; another one approves it on the versions it was made on."""

    proposal_id: UUID
    action: str
    consumer: str
    key_ids: list[str]
    versions: list[str]
    record_topic: str | None
    record_partition: int | None
    record_offset: int | None
    why: str
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime
    state: ProposalState
    decided_by: str | None
    decided_at: datetime | None
    decided_why: str | None


class ApprovedView(KeyProposalView):
    """What was approved, to which keys it was done, and which had moved."""

    done: list[str]
    moved: list[str]


class KeyAuditView(Answer):
    """Who did what to a key and why. `before` and `after` are the key as it was and as it became."""

    audit_id: int
    at: datetime
    operator: str
    step: str
    action: str
    consumer: str
    key_id: str
    why: str
    proposal_id: UUID | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def key_view(key: WaitingKey) -> KeyView:
    told = {
        "key": None if key.key is None else _text(key.key, 200),
        "reason": masked(key.reason, 500),
        "allowed": key.allowed,
    }
    return KeyView.model_validate(key._asdict() | told)


def record_view(record: WaitingRecord) -> RecordView:
    told = {"payload": _text(record.payload, LONGEST_PAYLOAD), "reason": masked(record.reason, 500)}
    return RecordView.model_validate(record._asdict() | told)


def proposal_view(proposal: KeyProposal, now: datetime) -> KeyProposalView:
    return KeyProposalView.model_validate(proposal._asdict() | {"state": proposal.state_at(now)})


def audit_view(line: AuditLine) -> KeyAuditView:
    told = {
        "before": line.before and orjson.loads(line.before),
        "after": line.after and orjson.loads(line.after),
    }
    return KeyAuditView.model_validate(line._asdict() | told)


def _text(content: bytes, longest: int) -> str:
    return masked(content.decode("utf-8", "backslashreplace"), longest)
