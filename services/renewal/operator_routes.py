"""The HTTP API of operators: decide about a renewal that cannot go on by itself, always by name.

The operator's name, as a signed token says it, stands in the history. A decision is about what was seen: it
names the version it was made on, and is refused where the renewal has moved since.
"""

from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from services.renewal import store
from services.renewal.domain.actions import (
    Action,
    OperatorCancels,
    OperatorRefunds,
    OperatorReleases,
    OperatorResolves,
    OperatorRetries,
)
from services.renewal.domain.policy import Policy
from services.renewal.domain.renewal import Renewal
from services.renewal.moves import Moves
from services.renewal.operators.who import Acting, Gate
from services.renewal.routes import not_possible, read_view, renewal_not_found
from services.renewal.views import RenewalView
from shared.contracts.fields import Count, Text
from shared.http.body import Body
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

Note = Annotated[Text, Field(min_length=3, description="What was looked at, for the audit.")]


Version = Annotated[Count, Field(description="Of the renewal that the decision was made on.")]


class Act(Body):
    """`retry`: the step's command again, now. `cancel`, `refund`: give up, through the authorities."""

    action: Literal["retry", "cancel", "refund"]
    version: Version


class Finding(Body):
    """What an unknown outcome turned out to be: the authority makes it a fact, the renewal follows that."""

    found: Literal["applied", "not_applied", "captured", "not_captured", "refunded"]
    version: Version


class Release(Body):
    """Close a parked renewal as decided: the last resort."""

    outcome: Literal["completed", "refunded", "failed", "cancelled"]
    note: Note
    version: Version


_ACTIONS: dict[str, type[Action]] = {
    "retry": OperatorRetries,
    "cancel": OperatorCancels,
    "refund": OperatorRefunds,
}
_NAMES: Final[dict[type, str]] = {
    **{action: name for name, action in _ACTIONS.items()},
    OperatorResolves: "resolve",
    OperatorReleases: "release",
}


class OperatorRoutes:
    """The routes of operators' decisions."""

    def __init__(self, transactions: Transactions, policy: Policy, gate: Gate) -> None:
        self._transactions = transactions
        self._policy = policy
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        path = "/v1/renewals/{renewal_id}/operator"
        accepted = HTTPStatus.ACCEPTED
        router.add_api_route(f"{path}/act", self.act, methods=["POST"], status_code=accepted)
        router.add_api_route(f"{path}/resolve", self.resolve, methods=["POST"], status_code=accepted)
        router.add_api_route(f"{path}/release", self.release, methods=["POST"], status_code=accepted)

    async def act(self, renewal_id: UUID, body: Act, who: Acting, response: Response) -> RenewalView:
        """Try the step again now, give up, or give the money back once nothing can be applied."""
        return await self._decide(renewal_id, body.version, _ACTIONS[body.action](who.name), response)

    async def resolve(self, renewal_id: UUID, body: Finding, who: Acting, response: Response) -> RenewalView:
        """Tell the authority what an unknown outcome was; the renewal moves on the fact that follows."""
        return await self._decide(renewal_id, body.version, OperatorResolves(who.name, body.found), response)

    async def release(self, renewal_id: UUID, body: Release, who: Acting, response: Response) -> RenewalView:
        """Close a parked renewal as decided, with a note for the audit."""
        action = OperatorReleases(who.name, body.outcome, body.note)
        return await self._decide(renewal_id, body.version, action, response)

    async def _decide(
        self, renewal_id: UUID, version: int, action: Action, response: Response
    ) -> RenewalView:
        async def work(transaction: Transaction) -> RenewalView:
            locked = await store.lock(transaction.connection, [renewal_id])
            if not locked:
                raise renewal_not_found(renewal_id)
            [renewal] = locked
            if renewal.version != version:
                raise _moved(renewal, version)
            moves = Moves(transaction, self._policy, locked)
            decision = moves.apply(renewal, action, None)
            if decision.history is None:
                raise not_possible(renewal, decision.ignored, _NAMES)
            await moves.write()
            return await read_view(transaction, renewal_id)

        found = await self._transactions.run(work)
        response.headers["ETag"] = f'"{found.version}"'
        return found


def _moved(renewal: Renewal, version: int) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="renewal-has-moved",
        title="The renewal has moved since it was looked at",
        detail=f"The decision was made on version {version}, the renewal is {renewal.state} in version "
        f"{renewal.version} now. Look at it again, then decide again.",
        version=renewal.version,
        state=renewal.state,
    )
