"""The HTTP port for SMS gateways, and what subscribers have answered by text message."""

from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Request
from pydantic import AwareDatetime, StringConstraints, TypeAdapter

from services.renewal.text_messages import store
from services.renewal.text_messages.domain.reply import Outcome, Reply, Word
from services.renewal.text_messages.replies import Incoming, Replies
from services.renewal.text_messages.secrets import GATEWAY_NAME
from services.renewal.text_messages.senders import Senders
from shared.contracts.fields import Id, Msisdn
from shared.http.body import Answer, Body
from shared.http.boundary import TRACEPARENT
from shared.http.paging import Cursor, Page
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction, Transactions

Gateway = Annotated[str, Path(pattern=GATEWAY_NAME, description="The gateway's name in our settings.")]
_PLACE: Final[TypeAdapter[tuple[AwareDatetime, Id, Id]]] = TypeAdapter(tuple[AwareDatetime, Id, Id])


class TextMessage(Body):
    """A subscriber's message. `message_id` is the gateway's, `sender` the number that it came from."""

    message_id: Id
    sender: Msisdn
    text: Annotated[str, StringConstraints(max_length=2_000)]


class ReplyAnswer(Answer):
    """What came of a message. `reason` says why not, `renewal_id` which renewal it is about."""

    outcome: Outcome
    reason: str | None
    renewal_id: UUID | None


class ReplyView(ReplyAnswer):
    """A message as it is kept: neither its text nor the whole number."""

    gateway: str
    message_id: str
    received_at: AwareDatetime
    number_ending: str
    word: Word | None


class TextMessageRoutes:
    """The routes of text messages."""

    def __init__(self, transactions: Transactions, senders: Senders, replies: Replies) -> None:
        self._transactions = transactions
        self._senders = senders
        self._replies = replies
        self.router = router = APIRouter(tags=["text messages"])
        # The signature comes first: who has no secret is not even told what is wrong with a message.
        signed = [Depends(self._signed)]
        router.add_api_route(
            "/v1/text-messages/{gateway}", self.receive, methods=["POST"], dependencies=signed
        )
        path = "/v1/subscriptions/{subscription_id}/text-messages"
        router.add_api_route(path, self.find, methods=["GET"])

    async def _signed(
        self,
        gateway: Gateway,
        request: Request,
        recarga_signature: Annotated[
            str | None,
            Header(
                max_length=200,
                description='`t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<exact body>">`',
            ),
        ] = None,
    ) -> None:
        self._senders.check(gateway, recarga_signature, await request.body())

    async def receive(self, gateway: Gateway, body: TextMessage, request: Request) -> ReplyAnswer:
        """A message of a subscriber: `1` renews as its rule says, `STOP` pauses the rule.

        200 whatever came of it, so that it is not sent for ever; the same message again is answered alike.
        """
        incoming = Incoming(
            gateway,
            body.message_id,
            body.sender,
            body.text,
            self._senders.fingerprint(gateway, body.sender, body.text),
            request.scope[TRACEPARENT],
        )

        async def work(transaction: Transaction) -> Reply | None:
            return await self._replies.answer(transaction, incoming)

        reply = await self._transactions.run(work)
        if reply is None:
            raise _reused()
        return ReplyAnswer(outcome=reply.outcome, reason=reply.reason, renewal_id=reply.renewal_id)

    async def find(self, subscription_id: Annotated[Id, Path()], position: Cursor) -> Page[ReplyView]:
        """What was answered by text message for the subscription, and what came of it; newest first."""
        after = position.after(_PLACE)
        async with self._transactions.begin() as transaction:
            rows = await store.list_replies(
                transaction.connection, subscription_id, after, position.limit + 1
            )
        kept, next_cursor = position.cut(rows, lambda reply: (reply.at, reply.gateway, reply.message_id))
        return Page(items=[_view(reply) for reply in kept], next_cursor=next_cursor)


def _view(reply: Reply) -> ReplyView:
    return ReplyView(
        outcome=reply.outcome,
        reason=reply.reason,
        renewal_id=reply.renewal_id,
        gateway=reply.gateway,
        message_id=reply.message_id,
        received_at=reply.at,
        number_ending=reply.number_ending,
        word=reply.word,
    )


def _reused() -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        type="text-message-id-reused",
        title="The message_id was used for another message",
        detail="A message with this id came before with another number or text, so nothing was done. "
        "Send each message with an id of its own, and the same one again only unchanged.",
    )
