"""What a payer does with the link that was sent: look at what is asked, and answer it, once.

The link is all the proof there is: whoever holds it may answer, and only with a method of the payer's own.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query

from services.renewal import store
from services.renewal.customer_links import CustomerLinks, Link, LinkExpired, LinkNotGenuine
from services.renewal.domain.actions import CustomerRetries
from services.renewal.domain.policy import Policy
from services.renewal.domain.renewal import CustomerAction, HistoryEntry, Renewal, State
from services.renewal.moves import Moves
from services.renewal.routes import check_method
from services.renewal.views import PaymentChoice
from shared.http.body import Answer
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

PATH: Final = "/v1/customer-actions"
Token = Annotated[str, Query(description="As it stands in the link.")]
_HOW: Final = "by the link that was sent"


class Question(Answer):
    """What is asked of the payer. `failed` says why it could not be paid without them."""

    action: CustomerAction
    offering_id: str
    amount_minor: int
    currency: str
    payment_method_id: str
    failed: str
    until: datetime


class Answered(Answer):
    """Where the renewal stands after the answer."""

    state: State


class CustomerActionRoutes:
    """The routes that a payer's link leads to."""

    def __init__(self, transactions: Transactions, policy: Policy, links: CustomerLinks) -> None:
        self._transactions = transactions
        self._policy = policy
        self._links = links
        self.router = router = APIRouter(tags=["payers"])
        router.add_api_route(PATH, self.look, methods=["GET"])
        router.add_api_route(PATH, self.answer, methods=["POST"], status_code=HTTPStatus.ACCEPTED)

    async def look(self, token: Token) -> Question:
        """What is asked, of which purchase, and until when."""
        link = self._read(token)
        async with self._transactions.begin() as transaction:
            renewal = await store.read(transaction.connection, link.renewal_id)
            asked = _asked(renewal, link)
            history = await store.read_history(transaction.connection, link.renewal_id)
        terms = asked.agreed
        return Question(
            action=asked.action or "choose_payment_method",
            offering_id=terms.offering_id,
            amount_minor=terms.max_amount_minor if asked.amount_minor is None else asked.amount_minor,
            currency=terms.currency,
            payment_method_id=asked.payment_method_id,
            failed=_failed(history),
            until=link.until,
        )

    async def answer(self, token: Token, body: PaymentChoice) -> Answered:
        """Pay: with the same method once it is confirmed at the bank, or with another one of the payer's."""
        link = self._read(token)

        async def work(transaction: Transaction) -> State:
            locked = await store.lock(transaction.connection, [link.renewal_id])
            renewal = _asked(locked[0] if locked else None, link)
            await check_method(transaction, renewal, body.payment_method_id)
            action = CustomerRetries(renewal.agreed.payer_id, body.payment_method_id, why=_HOW)
            moves = Moves(transaction, self._policy, locked)
            decision = moves.apply(renewal, action, None)
            await moves.write()
            return decision.renewal.state

        return Answered(state=await self._transactions.run(work))

    def _read(self, token: str) -> Link:
        try:
            return self._links.read(token)
        except LinkNotGenuine:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                type="action-link-not-genuine",
                title="The link is none of ours",
                detail="The link was not made here, or a part of it is missing. Open it from the message "
                "itself instead of typing it. Nothing was done.",
            ) from None
        except LinkExpired as expired:
            raise Problem(
                HTTPStatus.GONE,
                type="action-link-expired",
                title="The link has expired",
                detail=f"The answer was wanted until {expired.args[0]:%Y-%m-%d %H:%M} UTC; after that the "
                "renewal is cancelled and no money is taken. Nothing was done now: ask for a new renewal.",
            ) from None


def _asked(renewal: Renewal | None, link: Link) -> Renewal:
    """The renewal, which still waits for the answer to this very question.

    Raises:
        Problem: it is closed, or has moved on.
    """
    if renewal is None or not renewal.is_open:
        state = "closed" if renewal is None else renewal.state
        raise Problem(
            HTTPStatus.CONFLICT,
            type="action-renewal-closed",
            title="The renewal is closed",
            detail=f"The renewal is {state}: there is nothing left to pay here, and nothing was done. "
            "If data is still wanted, ask for a new renewal.",
            state=state,
        )
    if renewal.state != "awaiting_customer" or renewal.payment_attempt != link.attempt:
        raise Problem(
            HTTPStatus.CONFLICT,
            type="action-link-used",
            title="The link was used already",
            detail=f"What it asked for is done, and the renewal is {renewal.state}. Nothing was done now: "
            "wait for its end, or open the newest message if another one came.",
            state=renewal.state,
        )
    return renewal


def _failed(history: list[HistoryEntry]) -> str:
    """Why the payer was asked, as a code: the bank's own where it gave one."""
    asked = next(line for line in reversed(history) if line.message in _ASKING)
    return (asked.detail or _ASKING[asked.message]).rpartition(": ")[2]


_ASKING: Final = {"PaymentActionRequired": "confirmation_required", "PaymentDeclined": "declined"}
