"""The HTTP API of keys that were set aside, the same in every service: look, let go, discard, keep back.

To let go and to discard takes two: what is handled late, or never, may be about money.
"""

from collections.abc import Collection
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field, TypeAdapter

from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions
from shared.operators import set_aside_decisions as decisions
from shared.operators import set_aside_store as store
from shared.operators.set_aside import KeyProposal, Place, ProposalState
from shared.operators.set_aside_decisions import Approved, Wanted
from shared.operators.set_aside_views import (
    ApprovedView,
    Because,
    ConsumerName,
    Discard,
    Hold,
    KeyAuditView,
    KeyId,
    KeyProposalView,
    KeyView,
    RecordView,
    Release,
    audit_view,
    key_view,
    proposal_view,
    record_view,
)
from shared.operators.who import Acting, Gate, Looking

_KEY: Final = TypeAdapter(tuple[ConsumerName, KeyId])
_RECORD: Final = TypeAdapter(
    tuple[str, Annotated[int, Field(ge=0, lt=2**31)], Annotated[int, Field(ge=0, lt=2**63)]]
)
_PROPOSAL: Final[TypeAdapter[tuple[AwareDatetime, UUID]]] = TypeAdapter(tuple[AwareDatetime, UUID])
_LINE: Final = TypeAdapter(tuple[Annotated[int, Field(ge=0, lt=2**63)]])


class SetAsideRoutes:
    """The routes under /v1/operator/set-aside. Records of `never_discarded` topics may be let go only."""

    def __init__(self, transactions: Transactions, gate: Gate, never_discarded: Collection[str] = ()) -> None:
        self._transactions = transactions
        self._never_discarded = never_discarded
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        add, accepted = router.add_api_route, HTTPStatus.ACCEPTED
        keys, proposals = "/v1/operator/set-aside", "/v1/operator/set-aside-proposals"
        one = f"{keys}/{{consumer}}/{{key_id}}"
        add(keys, self.find, methods=["GET"])
        add(f"{one}/records", self.read_records, methods=["GET"])
        add(f"{keys}/release", self.release, methods=["POST"], status_code=accepted)
        add(f"{one}/discard", self.discard, methods=["POST"], status_code=accepted)
        add(f"{one}/hold", self.hold, methods=["POST"])
        add(proposals, self.find_proposals, methods=["GET"])
        add(f"{proposals}/{{proposal_id}}/approve", self.approve, methods=["POST"])
        add(f"{proposals}/{{proposal_id}}/reject", self.reject, methods=["POST"])
        add("/v1/operator/set-aside-audit", self.read_audit, methods=["GET"])

    async def find(
        self,
        position: Cursor,
        _who: Looking,
        consumer: Annotated[ConsumerName | None, Query()] = None,
    ) -> Page[KeyView]:
        """Keys that wait, by consumer: why, since when, how many records, whether they were let go."""
        after = position.after(_KEY)
        async with self._transactions.begin() as transaction:
            rows = await store.list_keys(transaction.connection, consumer, after, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda key: (key.consumer, key.key_id))
        return Page(items=[key_view(key) for key in kept], next_cursor=next_cursor)

    async def read_records(
        self, consumer: ConsumerName, key_id: KeyId, position: Cursor, _who: Looking
    ) -> Page[RecordView]:
        """The records of one key, in the order in which they will be handled."""
        after = position.after(_RECORD)
        async with self._transactions.begin() as transaction:
            rows = await store.list_records(
                transaction.connection, consumer, key_id, after and Place(*after), position.limit + 1
            )
        if not rows and after is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                type="set-aside-key-not-found",
                detail=f"No record of the key {key_id} waits: it was handled, or never set aside. "
                "Look at what waits in GET /v1/operator/set-aside.",
            )
        kept, next_cursor = position.cut(rows, lambda record: record[:3])
        return Page(items=[record_view(record) for record in kept], next_cursor=next_cursor)

    async def release(self, body: Release, who: Acting, response: Response) -> KeyProposalView:
        """Propose to let keys go, once the cause is removed: all their records are handled, in order."""
        seen = {key.key_id: key.version for key in body.keys}
        wanted = Wanted(who.name, "release", body.consumer, seen, body.why)
        return await self._propose(wanted, response)

    async def discard(
        self, consumer: ConsumerName, key_id: KeyId, body: Discard, who: Acting, response: Response
    ) -> KeyProposalView:
        """Propose to forget one record for good; the key keeps waiting while it has others."""
        place = Place(body.topic, body.partition, body.offset)
        wanted = Wanted(who.name, "discard", consumer, {key_id: body.version}, body.why, place)
        return await self._propose(wanted, response)

    async def _propose(self, wanted: Wanted, response: Response) -> KeyProposalView:
        async def work(transaction: Transaction) -> KeyProposal:
            return await decisions.propose(transaction, wanted, self._never_discarded)

        proposal = await self._transactions.run(work)
        response.headers["Location"] = f"/v1/operator/set-aside-proposals/{proposal.proposal_id}"
        return proposal_view(proposal, proposal.proposed_at)

    async def hold(self, consumer: ConsumerName, key_id: KeyId, body: Hold, who: Acting) -> KeyView:
        """Keep back a key that was let go and fails again."""
        wanted = Wanted(who.name, "hold", consumer, {key_id: body.version}, body.why)

        async def work(transaction: Transaction) -> KeyView:
            return key_view(await decisions.hold(transaction, wanted))

        return await self._transactions.run(work)

    async def approve(self, proposal_id: UUID, body: Because, who: Acting) -> ApprovedView:
        """Do what somebody else proposed, to the keys that are still as they saw them."""

        async def work(transaction: Transaction) -> tuple[Approved, datetime]:
            approved = await decisions.approve(transaction, proposal_id, who.name, body.why)
            return approved, transaction.now

        (proposal, done, moved), now = await self._transactions.run(work)
        told = proposal_view(proposal, now).model_dump()
        return ApprovedView(**told, done=done, moved=moved)

    async def reject(self, proposal_id: UUID, body: Because, who: Acting) -> KeyProposalView:
        """Be against it, or take back what one has proposed."""

        async def work(transaction: Transaction) -> tuple[KeyProposal, datetime]:
            rejected = await decisions.reject(transaction, proposal_id, who.name, body.why)
            return rejected, transaction.now

        return proposal_view(*await self._transactions.run(work))

    async def find_proposals(
        self, position: Cursor, _who: Looking, state: Annotated[ProposalState | None, Query()] = None
    ) -> Page[KeyProposalView]:
        """What was proposed, newest first; with `state=open` what waits for a second person."""
        after = position.after(_PROPOSAL)
        async with self._transactions.begin() as transaction:
            now = transaction.now
            rows = await store.list_proposals(transaction.connection, state, now, after, position.limit + 1)
        kept, next_cursor = position.cut(rows, lambda row: (row.proposed_at, str(row.proposal_id)))
        return Page(items=[proposal_view(row, now) for row in kept], next_cursor=next_cursor)

    async def read_audit(
        self,
        position: Cursor,
        _who: Looking,
        consumer: Annotated[ConsumerName | None, Query()] = None,
        key_id: Annotated[KeyId | None, Query()] = None,
    ) -> Page[KeyAuditView]:
        """What operators did to keys, newest first: who, why, and the key before and after."""
        after = position.after(_LINE)
        async with self._transactions.begin() as transaction:
            rows = await store.list_audit(
                transaction.connection, consumer, key_id, after[0] if after else None, position.limit + 1
            )
        kept, next_cursor = position.cut(rows, lambda row: (row.audit_id,))
        return Page(items=[audit_view(row) for row in kept], next_cursor=next_cursor)
