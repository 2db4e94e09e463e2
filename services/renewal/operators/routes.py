"""The HTTP API of operators' decisions: always by name, with a reason, on the version that was seen.

What decides about money (refund, resolve, release) is proposed by one operator and approved by another.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field, TypeAdapter

from services.renewal.domain.policy import Policy
from services.renewal.operators import decisions, store
from services.renewal.operators.decisions import Wanted
from services.renewal.operators.domain.decision import Decision
from services.renewal.operators.domain.proposal import Proposal, ProposalState
from services.renewal.operators.views import (
    Act,
    AuditView,
    Because,
    ProposalView,
    Refund,
    Release,
    Resolve,
    Seen,
    audit_view,
    proposal_view,
)
from services.renewal.routes import read_view
from services.renewal.views import RenewalView
from shared.http.paging import Cursor, Page
from shared.messaging.transaction import Transaction, Transactions
from shared.operators.tokens import OperatorName
from shared.operators.who import Acting, Gate, Looking

_PLACE: Final[TypeAdapter[tuple[AwareDatetime, UUID]]] = TypeAdapter(tuple[AwareDatetime, UUID])
_LINE: Final = TypeAdapter(tuple[Annotated[int, Field(ge=0, lt=2**63)]])


class DecisionRoutes:
    """Decide about one renewal; approve or reject what others proposed; read what was done."""

    def __init__(
        self, transactions: Transactions, policy: Policy, gate: Gate, proposals_live: timedelta
    ) -> None:
        self._transactions = transactions
        self._policy = policy
        self._proposals_live = proposals_live
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        add, accepted = router.add_api_route, HTTPStatus.ACCEPTED
        one = "/v1/renewals/{renewal_id}/operator"
        add(f"{one}/act", self.act, methods=["POST"], status_code=accepted)
        add(f"{one}/refund", self.refund, methods=["POST"], status_code=accepted)
        add(f"{one}/resolve", self.resolve, methods=["POST"], status_code=accepted)
        add(f"{one}/release", self.release, methods=["POST"], status_code=accepted)
        proposals = "/v1/operator/proposals"
        add(proposals, self.find_proposals, methods=["GET"])
        add(f"{proposals}/{{proposal_id}}/approve", self.approve, methods=["POST"], status_code=accepted)
        add(f"{proposals}/{{proposal_id}}/reject", self.reject, methods=["POST"])
        add("/v1/operator/audit", self.read_audit, methods=["GET"])

    async def act(self, renewal_id: UUID, body: Act, who: Acting, response: Response) -> RenewalView:
        """Try the step again now, or give up while no money was taken."""
        wanted = Wanted(who.name, Decision(body.action), body.why, body.version)

        async def work(transaction: Transaction) -> RenewalView:
            await decisions.act(transaction, self._policy, renewal_id, wanted)
            return await read_view(transaction, renewal_id)

        found = await self._transactions.run(work)
        response.headers["ETag"] = f'"{found.version}"'
        return found

    async def refund(self, renewal_id: UUID, body: Refund, who: Acting, response: Response) -> ProposalView:
        """Propose to give the money back, once nothing can be applied."""
        return await self._propose(renewal_id, body, Decision("refund"), who.name, response)

    async def resolve(self, renewal_id: UUID, body: Resolve, who: Acting, response: Response) -> ProposalView:
        """Propose what an unknown outcome was: the authority is told, the renewal moves on its fact."""
        return await self._propose(renewal_id, body, Decision("resolve", body.found), who.name, response)

    async def release(self, renewal_id: UUID, body: Release, who: Acting, response: Response) -> ProposalView:
        """Propose to close a parked renewal as decided."""
        return await self._propose(renewal_id, body, Decision("release", body.outcome), who.name, response)

    async def _propose(
        self, renewal_id: UUID, body: Seen, decision: Decision, operator: str, response: Response
    ) -> ProposalView:
        wanted = Wanted(operator, decision, body.why, body.version)

        async def work(transaction: Transaction) -> Proposal:
            return await decisions.propose(
                transaction, self._policy, renewal_id, wanted, self._proposals_live
            )

        proposal = await self._transactions.run(work)
        response.headers["Location"] = f"/v1/operator/proposals/{proposal.proposal_id}"
        return proposal_view(proposal, proposal.proposed_at)

    async def approve(self, proposal_id: UUID, body: Because, who: Acting, response: Response) -> RenewalView:
        """Carry out what somebody else proposed, if the renewal is still as they saw it."""

        async def work(transaction: Transaction) -> RenewalView:
            renewal_id = await decisions.approve(transaction, self._policy, proposal_id, who.name, body.why)
            return await read_view(transaction, renewal_id)

        found = await self._transactions.run(work)
        response.headers["ETag"] = f'"{found.version}"'
        return found

    async def reject(self, proposal_id: UUID, body: Because, who: Acting) -> ProposalView:
        """Be against it, or take back what one has proposed."""

        async def work(transaction: Transaction) -> tuple[Proposal, datetime]:
            rejected = await decisions.reject(transaction, proposal_id, who.name, body.why)
            return rejected, transaction.now

        return proposal_view(*await self._transactions.run(work))

    async def find_proposals(
        self,
        position: Cursor,
        _who: Looking,
        state: Annotated[ProposalState | None, Query()] = None,
        renewal_id: Annotated[UUID | None, Query()] = None,
    ) -> Page[ProposalView]:
        """What was proposed, newest first; with `state=open` what waits for a second person."""
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            now = transaction.now
            rows = await store.list_proposals(
                transaction.connection, state, renewal_id, now, after, position.limit + 1
            )
        kept, next_cursor = position.cut(rows, lambda row: (row.proposed_at, str(row.proposal_id)))
        return Page(items=[proposal_view(row, now) for row in kept], next_cursor=next_cursor)

    async def read_audit(
        self,
        position: Cursor,
        _who: Looking,
        renewal_id: Annotated[UUID | None, Query()] = None,
        job_id: Annotated[UUID | None, Query()] = None,
        operator: Annotated[OperatorName | None, Query()] = None,
    ) -> Page[AuditView]:
        """What operators did, newest first: who, why, and the renewal before and after."""
        after = position.after(_LINE)
        async with self._transactions.begin() as transaction:
            rows = await store.list_audit(
                transaction.connection,
                renewal_id,
                job_id,
                operator,
                after[0] if after else None,
                position.limit + 1,
            )
        kept, next_cursor = position.cut(rows, lambda row: (row.audit_id,))
        return Page(items=[audit_view(row) for row in kept], next_cursor=next_cursor)
