"""The HTTP API of renewals: ask for one, look at it, call it off."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, TypeAdapter

from services.renewal import store, waiting, waiting_store
from services.renewal.acceptance import decisions, review_store
from services.renewal.acceptance import store as acceptance_store
from services.renewal.domain import admission
from services.renewal.domain.actions import Action, CustomerCancels, CustomerRetries
from services.renewal.domain.admission import Admitted, InReview, Joined, Refusal, Waits
from services.renewal.domain.asking import Request as Asked
from services.renewal.domain.policy import CALLED_OFF, Moment, Policy
from services.renewal.domain.renewal import Renewal, State
from services.renewal.domain.review import Review
from services.renewal.domain.trial import does_something
from services.renewal.domain.waiting import WITHDRAWN, Waiting
from services.renewal.moves import Moves
from services.renewal.views import (
    NOT_BEGUN,
    BulkRenewal,
    NewRenewal,
    NotBegun,
    PaymentChoice,
    RenewalSummary,
    RenewalView,
    review_view,
    summary,
    view,
    waiting_view,
)
from shared.contracts.fields import Id
from shared.http import idempotency
from shared.http.boundary import TRACEPARENT
from shared.http.bulk import Bulk, BulkAnswer
from shared.http.caller import Caller
from shared.http.idempotency import IdempotencyKey
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

_PLACE: Final[TypeAdapter[tuple[AwareDatetime, UUID]]] = TypeAdapter(tuple[AwareDatetime, UUID])


class RenewalRoutes:
    """The routes under /v1/renewals."""

    def __init__(self, transactions: Transactions, policy: Policy) -> None:
        self._transactions = transactions
        self._policy = policy
        self.router = router = APIRouter(tags=["renewals"])
        add = router.add_api_route
        add("/v1/renewals", self.create, methods=["POST"], status_code=HTTPStatus.ACCEPTED)
        add("/v1/renewals", self.find, methods=["GET"])
        add("/v1/renewals/bulk", self.create_many, methods=["POST"])
        add("/v1/renewals/{renewal_id}", self.read, methods=["GET"])
        add(
            "/v1/renewals/{renewal_id}/cancel", self.cancel, methods=["POST"], status_code=HTTPStatus.ACCEPTED
        )
        add("/v1/renewals/{renewal_id}/pay", self.pay, methods=["POST"], status_code=HTTPStatus.ACCEPTED)

    async def create(
        self, body: NewRenewal, key: IdempotencyKey, caller: Caller, request: Request, response: Response
    ) -> RenewalView:
        """Ask for a renewal. 202: it was begun, or waits until a rule's renewal has given way (`waiting`) or
        until a person has decided whether it may be paid so (`in_review`); 200: the same request had led to
        this one before.
        """
        asked = _asked(body, caller, key, request.scope[TRACEPARENT])

        async def work(transaction: Transaction) -> tuple[admission.Answer, RenewalView | None]:
            [answer] = await waiting.ask(transaction, [asked], self._policy)
            if isinstance(answer, Refusal):
                return answer, None
            return answer, await read_view(transaction, asked.renewal_id)

        answer, found = await self._transactions.run(work)
        if isinstance(answer, Refusal) or found is None:
            raise refusal_problem(answer)
        if isinstance(answer, Joined):
            response.status_code = HTTPStatus.OK
        response.headers["Location"] = f"/v1/renewals/{found.renewal_id}"
        response.headers["ETag"] = f'"{found.version}"'
        return found

    async def create_many(self, body: Bulk[BulkRenewal], caller: Caller, request: Request) -> BulkAnswer:
        """Ask for many renewals; each is judged by itself, by the same checks as a single one."""
        items = body.valid
        traceparent = request.scope[TRACEPARENT]
        asked = [
            _asked(item, caller, item.request_id, traceparent)._replace(is_bulk=True) for _, item in items
        ]

        async def work(transaction: Transaction) -> Sequence[admission.Answer]:
            return await waiting.ask(transaction, asked, self._policy)

        answers = await self._transactions.run(work) if asked else []
        return body.answer(
            {
                index: refusal_problem(answer)
                for (index, _), answer in zip(items, answers, strict=True)
                if not isinstance(answer, Admitted | Joined | Waits | InReview)
            }
        )

    async def read(self, renewal_id: UUID, response: Response) -> RenewalView:
        """One renewal: its state, its steps with attempts and times, and all that happened to it."""
        async with self._transactions.begin() as transaction:
            found = await read_view(transaction, renewal_id)
        response.headers["ETag"] = f'"{found.version}"'
        return found

    async def find(
        self,
        position: Cursor,
        subscription_id: Annotated[Id | None, Query()] = None,
        state: Annotated[State | NotBegun | None, Query()] = None,
    ) -> Page[RenewalSummary]:
        """Renewals, newest first; of one subscription also what is waiting or in review and has not begun."""
        after, limit = position.after(_PLACE), position.limit + 1
        if subscription_id is None and state in NOT_BEGUN:
            raise subscription_needed(state)
        async with self._transactions.begin() as transaction:
            found: list[Renewal | Waiting | Review] = []
            if subscription_id is not None:
                # First these: what begins between the two looks is seen twice, not missed.
                found += await store.list_without_slot(
                    transaction.connection, subscription_id, state, after, limit
                )
            found += await store.list_renewals(transaction.connection, subscription_id, state, after, limit)
        listed = {item.renewal_id: item for item in map(summary, found)}
        newest = sorted(listed.values(), key=lambda item: (item.requested_at, item.renewal_id), reverse=True)
        kept, next_cursor = position.cut(newest, lambda item: (item.requested_at, str(item.renewal_id)))
        return Page(items=kept, next_cursor=next_cursor)

    async def cancel(self, renewal_id: UUID, caller: Caller, response: Response) -> RenewalView:
        """Call it off: it is cancelled once no money is held; money that was taken is given back first.

        Where it is parked an operator decides; they see that it is not wanted any more.
        """
        return await self._act(renewal_id, CustomerCancels(caller), response)

    async def pay(
        self, renewal_id: UUID, body: PaymentChoice, caller: Caller, response: Response
    ) -> RenewalView:
        """Pay a renewal that waits for its payer: with another method, or after confirming the same one."""
        return await self._act(renewal_id, CustomerRetries(caller, body.payment_method_id), response)

    async def _act(
        self, renewal_id: UUID, action: CustomerCancels | CustomerRetries, response: Response
    ) -> RenewalView:
        async def work(transaction: Transaction) -> RenewalView:
            locked = await store.lock(transaction.connection, [renewal_id])
            if not locked:
                found = await self._withdraw(transaction, renewal_id, action)
                if found is not None:
                    return found
                # It was admitted in between.
                locked = await store.lock(transaction.connection, [renewal_id])
            [renewal] = locked
            if isinstance(action, CustomerRetries):
                await check_method(transaction, renewal, action.payment_method_id)
            moves = Moves(transaction, self._policy, locked)
            decision = moves.apply(renewal, action, None)
            if decision.history is None and not _is_called_off(renewal, action):
                can = _customers_can(renewal, Moment(transaction.now, self._policy))
                raise not_possible(renewal.state, decision.ignored, can)
            await moves.write()
            return await read_view(transaction, renewal_id)

        found = await self._transactions.run(work)
        response.headers["ETag"] = f'"{found.version}"'
        return found

    async def _withdraw(
        self, transaction: Transaction, renewal_id: UUID, action: CustomerCancels | CustomerRetries
    ) -> RenewalView | None:
        """The same for a request that waits; None where it is a renewal by now.

        Raises:
            Problem: there is no such request, or it has ended otherwise.
        """
        connection, now = transaction.connection, transaction.now
        if isinstance(action, CustomerCancels):
            await waiting_store.withdraw(connection, renewal_id, now, WITHDRAWN)
        request = await waiting_store.read(connection, renewal_id)
        if request is None:
            return await self._withdraw_reviewed(transaction, renewal_id, action)
        if isinstance(action, CustomerRetries) or request.state != "withdrawn":
            raise _only_waits(request)
        return waiting_view(request)

    async def _withdraw_reviewed(
        self, transaction: Transaction, renewal_id: UUID, action: CustomerCancels | CustomerRetries
    ) -> RenewalView | None:
        """The same for a request that a person decides about."""
        if isinstance(action, CustomerCancels):
            review = await decisions.withdraw(transaction, self._policy, renewal_id)
        else:
            review = await review_store.read(transaction.connection, renewal_id)
        if await store.read(transaction.connection, renewal_id) is not None:
            return None
        if review is None:
            raise renewal_not_found(renewal_id)
        if isinstance(action, CustomerRetries) or review.state != "withdrawn":
            raise _only_waits(review)
        return review_view(review)


def _asked(body: NewRenewal, caller: str, request_id: str, traceparent: str) -> Asked:
    return Asked(
        caller=caller,
        request_id=request_id,
        subscription_id=body.subscription_id,
        offering_id=body.offering_id,
        max_amount_minor=body.expected_amount_minor,
        currency=body.currency,
        payment_method_ids=body.payment_method_ids,
        payer_id=body.payer_id,
        traceparent=traceparent,
    )


async def read_view(transaction: Transaction, renewal_id: UUID) -> RenewalView:
    renewal = await store.read(transaction.connection, renewal_id)
    if renewal is None:
        request = await waiting_store.read(transaction.connection, renewal_id)
        if request is not None:
            return waiting_view(request)
        review = await review_store.read(transaction.connection, renewal_id)
        # What was approved has gone on since: among the renewals, or where requests wait.
        if review is not None and (review.state != "approved" or review.is_a_rules):
            return review_view(review)
        # Admitted between the two questions.
        renewal = await store.read(transaction.connection, renewal_id)
    if renewal is None:
        raise renewal_not_found(renewal_id)
    return view(renewal, await store.read_history(transaction.connection, renewal_id))


async def check_method(transaction: Transaction, renewal: Renewal, payment_method_id: str) -> None:
    """A renewal is paid with an active method of its own payer.

    Raises:
        Problem: it is none.
    """
    known = await store.read_methods(transaction.connection, [payment_method_id])
    terms = renewal.agreed
    refusal = admission.payment_refusal([payment_method_id], terms.payer_id, known)
    if refusal is None:
        wanted = acceptance_store.Asked(
            renewal.renewal_id, terms.offering_id, terms.payer_id, payment_method_id
        )
        [accepted] = await acceptance_store.read(transaction.connection, [wanted])
        # For what is under way nobody is asked to decide any more.
        refusal = admission.acceptance_refusal([payment_method_id], accepted, may_ask=False)
    if refusal is not None:
        raise refusal_problem(refusal)


def _is_called_off(renewal: Renewal, action: CustomerCancels | CustomerRetries) -> bool:
    """To cancel what is being, or has been, called off is to say it twice: no error."""
    if not isinstance(action, CustomerCancels):
        return False
    under_way = renewal.state in _UNDER_WAY and renewal.reason in CALLED_OFF
    return under_way or renewal.state == "cancelled"


_UNDER_WAY: Final = ("cancelling_payment", "cancelling_top_up", "parked")


def refusal_problem(answer: admission.Answer) -> Problem:
    """409 where time or another renewal can change it, 404 or 422 where only another request can."""
    if not isinstance(answer, Refusal):
        raise AssertionError(f"{answer} is not a refusal")
    if answer == admission.REUSED:
        return idempotency.key_reused()
    status = _STATUS.get(answer.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
    return Problem(
        status,
        type=answer.reason.replace("_", "-"),
        detail=f"{answer.detail} Nothing was done.",
        reason=answer.reason,
    )


_STATUS: Final = {
    "slot_taken": HTTPStatus.CONFLICT,
    "review_open": HTTPStatus.CONFLICT,
    "subscription_unknown": HTTPStatus.NOT_FOUND,
}


def renewal_not_found(renewal_id: UUID) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="renewal-not-found",
        title="There is no such renewal",
        detail=f"No renewal has the id {renewal_id}. Compare it with the answer that gave it. "
        "GET /v1/renewals?subscription_id=... lists all of a subscription, also what waits or is in review.",
    )


def subscription_needed(state: str) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type="subscription-needed",
        title="This state is listed for one subscription",
        detail=f"What is {state} has not begun and is listed for one subscription at a time, so nothing was "
        "read. Name it with `subscription_id`, too.",
    )


def _only_waits(request: Waiting | Review) -> Problem:
    allowed = ["cancel"] if request.state in ("waiting", "in_review") else []
    return not_possible(request.state, "it has no slot", allowed)


def _customers_can(renewal: Renewal, moment: Moment) -> list[str]:
    pays = CustomerRetries("", renewal.payment_method_id)
    asked: dict[str, Action] = {"cancel": CustomerCancels(""), "pay": pays}
    return [name for name, action in asked.items() if does_something(renewal, action, moment)]


def not_possible(state: str, why: str | None, allowed: Sequence[str]) -> Problem:
    """409 with what would do something to what is in that state instead."""
    return Problem(
        HTTPStatus.CONFLICT,
        type="not-possible-now",
        title="The renewal's state does not allow it",
        detail=f"The renewal is {state}: {why}. Possible now: {', '.join(allowed) or 'nothing'}.",
        state=state,
        allowed=list(allowed),
    )
