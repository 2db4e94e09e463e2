"""What comes of a text message: kept first, so that it comes of it once; then judged and carried out."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final, NamedTuple

from services.renewal import admissions
from services.renewal.domain.admission import SLOT_TAKEN, Admitted, Answer, InReview, Joined, Refusal, Waits
from services.renewal.domain.asking import Request
from services.renewal.domain.policy import Policy
from services.renewal.rules import pausing
from services.renewal.rules import store as rule_store
from services.renewal.text_messages import metrics, store
from services.renewal.text_messages.domain.agreement import RULE_MISSING, agreed, caller_of
from services.renewal.text_messages.domain.reply import (
    TOO_MANY,
    Holder,
    Reply,
    addressed,
    word_of,
)
from shared.messaging.transaction import Transaction, Transactions
from shared.pause import pause

HOUR: Final = timedelta(hours=1)
REMEMBERED: Final = timedelta(days=400)
"""How long it can be asked what came of a message, and the same one again is known: as long as decisions."""
FORGET_SECONDS: Final = 60.0
_FORGOTTEN_AT_ONCE: Final = 2_000
_ENDING: Final = 4
STOPPED: Final = "The subscriber has opted out by text message."


class Incoming(NamedTuple):
    """A message that the gateway has signed."""

    gateway: str
    message_id: str
    msisdn: str
    text: str
    fingerprint: bytes
    """Equal exactly where number and text are."""
    traceparent: str | None = None


class Replies:
    """Answers messages; `per_hour` bounds how often one number may ask to be renewed."""

    def __init__(self, policy: Policy, per_hour: int) -> None:
        self._policy = policy
        self._per_hour = per_hour

    async def answer(self, transaction: Transaction, incoming: Incoming) -> Reply | None:
        """What came of it, now or when it came before; None where it came before with other contents."""
        reply = Reply(
            incoming.gateway,
            incoming.message_id,
            incoming.fingerprint,
            transaction.now,
            incoming.msisdn[-_ENDING:],
            word_of(incoming.text),
            "not_understood",
        )
        if not await store.begin(transaction.connection, reply):
            return await self._again(transaction, incoming)
        settled = await self._judge(transaction, reply, incoming)
        await store.settle(transaction.connection, settled)
        transaction.after_commit(_counting(settled.outcome))
        return settled

    async def _again(self, transaction: Transaction, incoming: Incoming) -> Reply | None:
        kept = await store.read(transaction.connection, incoming.gateway, incoming.message_id)
        is_same = kept is not None and kept.fingerprint == incoming.fingerprint
        transaction.after_commit(_counting("repeated" if is_same else "reused"))
        return kept if is_same else None

    async def _judge(self, transaction: Transaction, reply: Reply, incoming: Incoming) -> Reply:
        """Where nothing is understood it is kept with the subscription all the same, if there is one."""
        holders = await store.lock_holders(transaction.connection, incoming.msisdn)
        holder = addressed(holders, reply.word or "renew")
        if reply.word is None:
            name = None if isinstance(holder, Refusal) else holder.subscription_id
            return reply._replace(subscription_id=name)
        if isinstance(holder, Refusal):
            name = holders[0].subscription_id if len(holders) == 1 else None
            return reply._replace(outcome="refused", reason=holder.reason, subscription_id=name)
        reply = reply._replace(subscription_id=holder.subscription_id)
        if reply.word == "stop":
            return await _stop(transaction, reply, holder)
        return await self._renew(transaction, reply, holder, incoming.traceparent)

    async def _renew(
        self, transaction: Transaction, reply: Reply, holder: Holder, traceparent: str | None
    ) -> Reply:
        connection, now = transaction.connection, transaction.now
        if await store.count_asked(connection, holder.subscription_id, now - HOUR) >= self._per_hour:
            return reply._replace(outcome="refused", reason=TOO_MANY.reason)
        [told] = await rule_store.read_told(connection, [holder.subscription_id], now)
        methods: list[str] = []
        if told.rule is not None:
            wanted = [(holder.subscription_id, told.rule.says)]
            [named] = await rule_store.read_what_rules_name(connection, wanted)
            methods = named.methods
        request = agreed(reply, holder, told, methods, now, traceparent)
        if isinstance(request, Refusal):
            return reply._replace(outcome="refused", reason=request.reason)
        [answer] = await admissions.admit(transaction, [request], self._policy)
        return _settled(reply, request, answer)


async def _stop(transaction: Transaction, reply: Reply, holder: Holder) -> Reply:
    """Pause the rule, in the subscriber's name; whoever else has paused it is not forgotten for a message."""
    caller = caller_of(reply.gateway)
    if await pausing.opt_out(transaction, holder.subscription_id, caller, STOPPED):
        return reply._replace(outcome="stopped")
    return reply._replace(outcome="refused", reason=RULE_MISSING.reason)


def _settled(reply: Reply, request: Request, answer: Answer) -> Reply:
    """A rule's renewal that is under way does not give way to a message: it is what the message asks for."""
    match answer:
        case Admitted() | Joined():
            return reply._replace(outcome="renewing", renewal_id=request.renewal_id)
        case Waits(gives_way=open_renewal):
            return reply._replace(outcome="under_way", renewal_id=open_renewal)
        case Refusal():
            under_way = answer == SLOT_TAKEN
            return reply._replace(outcome="under_way" if under_way else "refused", reason=answer.reason)
        case InReview():
            return reply._replace(outcome="in_review", renewal_id=request.renewal_id)
        case _:
            raise AssertionError(f"{answer} is no answer to a person")


def _counting(outcome: str) -> Callable[[], None]:
    return metrics.replies(outcome).inc


class OldReplies:
    """The loop that forgets messages that are too old; any number of processes."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self._transactions.run(self.forget)
            await pause(stopping, FORGET_SECONDS)

    async def forget(self, transaction: Transaction) -> None:
        """At most a bounded number at a time."""
        await store.forget(transaction.connection, transaction.now - REMEMBERED, _FORGOTTEN_AT_ONCE)
