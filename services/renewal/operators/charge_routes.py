"""The HTTP API of the switch: stop what rules charge, everywhere or for one brand, carrier or subscription.

One operator may do either: the brake must be within everybody's reach. What is in flight finishes, what
people ask for goes on.
"""

from http import HTTPStatus
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Depends, Path

from services.renewal import burst_store
from services.renewal import store as renewals
from services.renewal.domain.charge_stop import ChargeStop
from services.renewal.operators import charge_store, store
from services.renewal.operators.charge_views import (
    Scope,
    StopsView,
    SubscriptionView,
    in_force,
    kept_view,
    refusal_view,
    stop_view,
)
from services.renewal.operators.store import Deed
from services.renewal.rules import decision_store
from services.renewal.rules import store as rules
from services.renewal.rules.views import decision_view, rule_view
from services.renewal.views import summary
from shared.contracts.fields import Id
from shared.database import Connection
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions
from shared.operators.who import Acting, Gate, Looking

WAIT_SECONDS: Final = 5.0
"""For batches that looked before the stop; those that wait behind it wait for locks twice as long."""
_SHOWN: Final = 20


class ChargeRoutes:
    """The switch, and why a subscription did not renew."""

    def __init__(self, transactions: Transactions, gate: Gate) -> None:
        self._transactions = transactions
        self.router = router = APIRouter(tags=["operators"], dependencies=[Depends(gate)])
        add, stops = router.add_api_route, "/v1/operator/charge-stops"
        add(stops, self.read, methods=["GET"])
        add(stops, self.stop, methods=["POST"])
        add(f"{stops}/resume", self.resume, methods=["POST"])
        add("/v1/operator/subscriptions/{subscription_id}", self.explain, methods=["GET"])

    async def read(self, _who: Looking) -> StopsView:
        """What is stopped now."""
        async with self._transactions.begin() as transaction:
            return await _stops(transaction.connection)

    async def stop(self, body: Scope, who: Acting) -> StopsView:
        """Stop automatic charges. From the answer on no process begins one there. Twice is once."""

        async def work(transaction: Transaction) -> StopsView:
            connection, now = transaction.connection, transaction.now
            await _check(connection, body)
            before = await charge_store.list_stops(connection)
            if body.scope not in [stop.scope for stop in before]:
                stop = ChargeStop(body.scope, body.kind, body.name, who.name, now, body.why)
                await charge_store.insert_stop(connection, stop)
                await _note(transaction, "stop charges", body, who.name, before)
            return await _stops(connection)

        stopped = await self._transactions.run(work)
        try:
            await charge_store.wait_for_admissions(self._transactions.pool, WAIT_SECONDS)
        except TimeoutError as error:
            raise _still_beginning(body.scope) from error
        return stopped

    async def resume(self, body: Scope, who: Acting) -> StopsView:
        """Let rules charge again; what was kept meanwhile is looked at again, a bounded number per second."""

        async def work(transaction: Transaction) -> StopsView:
            connection = transaction.connection
            _check_name(body)
            before = await charge_store.list_stops(connection)
            if not await charge_store.delete_stop(connection, body.scope):
                raise _not_stopped(body.scope, before)
            await burst_store.reset(connection, body.scope, transaction.now)
            await _note(transaction, "resume charges", body, who.name, before)
            return await _stops(connection)

        return await self._transactions.run(work)

    async def explain(self, subscription_id: Annotated[Id, Path()], _who: Looking) -> SubscriptionView:
        """Why a subscription renewed, or did not: its rule, its triggers, what waits, what was begun."""
        async with self._transactions.begin() as transaction:
            connection = transaction.connection
            known = await charge_store.read_subscription(connection, subscription_id)
            if known is None:
                raise _subscription_unknown(subscription_id)
            stops = await charge_store.list_stops_of(connection, subscription_id)
            kept = await charge_store.read_kept(connection, subscription_id)
            rule = await rules.read(connection, subscription_id)
            decisions = await decision_store.list_decisions(connection, subscription_id, None, _SHOWN)
            refusals = await charge_store.read_refusals(connection, subscription_id, _SHOWN)
            found = await renewals.list_renewals(connection, subscription_id, None, None, _SHOWN)
        return SubscriptionView(
            subscription_id=subscription_id,
            brand=known.brand,
            carrier=known.carrier,
            status=known.status,
            rule=rule and rule_view(rule),
            charges_stopped=in_force(stops, known.brand, known.carrier, subscription_id),
            kept_trigger=kept and kept_view(kept, stops),
            decisions=[decision_view(decision) for decision in decisions],
            refusals=[refusal_view(refused) for refused in refusals],
            renewals=[summary(renewal) for renewal in found],
        )


async def _stops(connection: Connection) -> StopsView:
    stops = await charge_store.list_stops(connection)
    kept = await charge_store.count_kept(connection)
    return StopsView(stops=[stop_view(stop) for stop in stops], kept_triggers=kept.get("stop", 0))


def _check_name(body: Scope) -> None:
    if (body.name is None) == (body.kind == "everywhere"):
        return
    wanted = "no name" if body.kind == "everywhere" else f"the name of a {body.kind}"
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type="stop-name-not-right",
        title="The name does not go with the kind",
        detail=f"The kind {body.kind} wants {wanted}. Nothing was changed.",
    )


async def _check(connection: Connection, body: Scope) -> None:
    """A stop of a brand that is none would stop nothing, and look as if it did."""
    _check_name(body)
    if body.name is None or await charge_store.is_known(connection, body.kind, body.name):
        return
    there_are = await charge_store.some_names(connection, body.kind)
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type=f"unknown-{body.kind}",
        title=f"There is no such {body.kind}",
        detail=f"No subscription has the {body.kind} {body.name}, so nothing was stopped. "
        f"There are, among others: {', '.join(there_are) or 'none'}.",
        allowed=there_are,
    )


def _still_beginning(scope: str) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        type="renewals-still-beginning",
        title="It is stopped, but something may still begin",
        detail=f"The stop of {scope} holds: what is looked at from now on begins nothing there. "
        f"A batch that had looked before is still under way after {WAIT_SECONDS:g} s and may yet begin "
        "its renewals. Stop it again: that changes nothing, and is answered once the batch has ended.",
    )


def _not_stopped(scope: str, stops: list[ChargeStop]) -> Problem:
    names = [stop.scope for stop in stops]
    return Problem(
        HTTPStatus.CONFLICT,
        type="charges-not-stopped",
        title="Automatic charges are not stopped there",
        detail=f"Nothing is stopped under {scope}. Possible to resume now: {', '.join(names) or 'nothing'}.",
        stopped=names,
    )


def _subscription_unknown(subscription_id: str) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="subscription-unknown",
        title="There is no such subscription",
        detail=f"Nobody has told us of subscription {subscription_id}. Check its id in provisioning.",
    )


async def _note(
    transaction: Transaction, action: str, body: Scope, by: str, before: list[ChargeStop]
) -> None:
    after = await charge_store.list_stops(transaction.connection)
    told = [orjson.dumps({"stopped": [stop.scope for stop in stops]}).decode() for stops in (before, after)]
    deed = Deed(by, "done", action, body.scope, body.why, before=told[0], after=told[1])
    await store.write_audit(transaction.connection, transaction.now, [deed])
