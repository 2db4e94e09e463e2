"""The HTTP API of looking: which renewals match, and one renewal's past and future in one answer."""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, TypeAdapter

from services.renewal import store as renewals
from services.renewal import timers
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.renewal import State
from services.renewal.operators import charge_store, search, store
from services.renewal.operators.charge_views import in_force, kept_view
from services.renewal.operators.domain.decision import CHOICES, choices, possible
from services.renewal.operators.domain.filter import FILTERS, CaseName, Filter, cases_of
from services.renewal.operators.domain.outlook import upcoming, waits_for
from services.renewal.operators.search_views import (
    FoundRenewal,
    Timeline,
    deed_line,
    found_renewal,
    history_line,
    upcoming_view,
)
from services.renewal.operators.views import proposal_view
from services.renewal.routes import renewal_not_found
from services.renewal.views import summary
from shared.contracts.fields import Id
from shared.http.paging import Cursor, Page, encode_cursor
from shared.http.problems import Problem
from shared.messaging.transaction import Transactions
from shared.operators.who import Gate, Looking

_PLACE: Final[TypeAdapter[tuple[AwareDatetime, UUID]]] = TypeAdapter(tuple[AwareDatetime, UUID])
_PAGING: Final = {"cursor", "limit"}
_DEEDS_SHOWN: Final = 200
_OLDEST_SECONDS: Final = 10 * 366 * 86_400


async def _filter(
    request: Request,
    state: Annotated[list[State] | None, Query(max_length=12, description="Any of these.")] = None,
    is_open: Annotated[bool | None, Query(alias="open", description="Open ones, or closed ones.")] = None,
    brand: Annotated[Id | None, Query()] = None,
    carrier: Annotated[Id | None, Query()] = None,
    subscription_id: Annotated[Id | None, Query()] = None,
    reason: Annotated[Id | None, Query(description="Why it is given up, or why it is parked.")] = None,
    older_than_seconds: Annotated[
        float | None, Query(ge=0, le=_OLDEST_SECONDS, description="Asked for at least so long ago.")
    ] = None,
    case: Annotated[CaseName | None, Query(description="What a person has to look into.")] = None,
) -> Filter:
    # The framework takes no notice of a name that it does not know: the answer would be about everything.
    unknown = sorted(set(request.query_params) - {*FILTERS, *_PAGING})
    if unknown:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            type="unknown-filter",
            title="There is no such filter",
            detail=f"{len(unknown)} of the filters is none, so nothing was looked for. "
            f"There are: {', '.join(FILTERS)}.",
            allowed=list(FILTERS),
        )
    return Filter(
        tuple(state or ()), is_open, brand, carrier, subscription_id, reason, older_than_seconds, case
    )


Filtered = Annotated[Filter, Depends(_filter)]


class SearchRoutes:
    """Search and timeline, for everybody who has a token."""

    def __init__(self, transactions: Transactions, policy: Policy, gate: Gate) -> None:
        self._transactions = transactions
        self._policy = policy
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        router.add_api_route("/v1/operator/renewals", self.find, methods=["GET"])
        router.add_api_route("/v1/renewals/{renewal_id}/operator/timeline", self.timeline, methods=["GET"])

    async def find(self, position: Cursor, wanted: Filtered, _who: Looking) -> Page[FoundRenewal]:
        """Renewals that match all filters, newest first.

        Among closed ones a page looks at a bounded stretch of time: it may hold few and still have a next.
        """
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            now = transaction.now
            page = await search.find(transaction.connection, wanted, now, after, position.limit)
        next_cursor = None if page.after is None else encode_cursor([page.after[0], str(page.after[1])])
        return Page(items=[found_renewal(one, now) for one in page.found], next_cursor=next_cursor)

    async def timeline(self, renewal_id: UUID, _who: Looking) -> Timeline:
        """One renewal: what happened, what people did about it, and what will happen when."""
        async with self._transactions.begin() as transaction:
            connection, now = transaction.connection, transaction.now
            found = await search.read(connection, renewal_id)
            if found is None:
                raise renewal_not_found(renewal_id)
            history = await renewals.read_history(connection, renewal_id)
            deeds = await store.list_audit(connection, renewal_id, None, None, None, _DEEDS_SHOWN)
            proposals = await store.list_proposals(connection, "open", renewal_id, now, None, 1)
            stalls = await timers.read_stalls(connection, now)
            stops = await charge_store.list_stops_of(connection, found.renewal.subscription_id)
            kept = await charge_store.read_kept(connection, found.renewal.subscription_id)
            caught_up = await renewals.is_caught_up(connection, now, timers.CATCH_UP_SECONDS)
        renewal, moment = found.renewal, Moment(now, self._policy)
        allowed = possible(renewal, moment)
        events = [history_line(entry) for entry in history] + [deed_line(deed) for deed in reversed(deeds)]
        return Timeline(
            renewal=summary(renewal),
            brand=found.brand,
            carrier=found.carrier,
            cases=list(cases_of(renewal)),
            waits_for=waits_for(renewal),
            next=[upcoming_view(one) for one in upcoming(renewal, moment, stalls)],
            timers_held=not caught_up,
            allowed=allowed,
            choices={name: list(choices(name, renewal, moment)) for name in CHOICES if name in allowed},
            open_proposal=proposal_view(proposals[0], now) if proposals else None,
            charges_stopped=in_force(stops, found.brand, found.carrier, renewal.subscription_id),
            kept_trigger=kept and kept_view(kept, stops),
            events=sorted(events, key=lambda line: line.at),
        )
