"""Everybody outside: other systems that ask, customers who call off or pay, operators, the PSP's webhooks.

Each asks some process, and asks another one where the first does not answer: as over HTTP.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson

from deploy.sandbox.exchange import Request as SandboxRequest
from deploy.sandbox.webhooks import Delivery, signature
from services.payment.domain.payment import WALLET
from services.renewal import store as renewal_store
from services.renewal import wiring as renewal_wiring
from services.renewal.domain.actions import Action, CustomerCancels, CustomerRetries, OperatorResolves
from services.renewal.domain.asking import Request, Trigger
from services.renewal.moves import Moves
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import RenewalRule, short_form
from shared.contracts.message import Message
from shared.contracts.quotas import QuotaExhausted
from shared.contracts.renewal_requests import RequestRenewal
from shared.messaging.transaction import Transaction
from tests.simulation.broker import Record
from tests.simulation.plan import Wish
from tests.simulation.replica import SETTINGS, WEBHOOK_SECRET, Replica
from tests.simulation.seams import CURRENCY, OFFERING
from tests.simulation.stores.payment import MethodLine
from tests.simulation.stores.provisioning import SubscriptionLine as Profile
from tests.simulation.stores.renewal import OfferingLine, SubscriptionLine

if TYPE_CHECKING:
    from tests.simulation.world import World

CALLER: Final = "app"
IN_PERSON: Final = "in-person"
GATEWAY: Final = "sandbox"
BRAND, CARRIER_NAME = "nauta", "cubacel"
TAKEN: Final = "taken"
"""What became of a webhook that was believed."""
_PATIENCE_SECONDS: Final = 6.0
_TRIES: Final = 3
"""How often a payer tries to pay for one renewal."""


def _mandate(subscription_id: str, payer_id: str, at: datetime) -> Mandate:
    said = ("before-mandates", None, "api", at, "und", 2000, CURRENCY, None, "app", at)
    return Mandate(subscription_id, "mandate", payer_id, *said)


class People:
    """Who is outside of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[str, Wish] = {}
        self._asked: Counter[str] = Counter()
        self.resolved: set[str] = set()
        """Renewals that an operator had to look after."""
        self.untold: set[str] = set()
        """Renewals about which a webhook never arrived."""
        self.brought: dict[str, list[tuple[str, str]]] = {}
        """By renewal: the type of every webhook that was brought, and whether it was taken."""

    def settle_in(self) -> None:
        """What was told long ago: subscriptions, owners, cards, what is sold, standing rules."""
        world = self._world
        statuses = ["active", "suspended", "expired"]
        world.renewal.offerings.rows[OFFERING] = OfferingLine("on_sale", [], [], statuses)
        for each in world.plan.subscribers:
            name = each.subscription_id
            world.renewal.subscriptions.rows[name] = SubscriptionLine(
                BRAND, CARRIER_NAME, each.owner_id, "active", True, True, 0
            )
            world.renewal.customers.rows[each.owner_id] = True
            world.provisioning.subscriptions.rows[name] = Profile(each.iccid, CARRIER_NAME)
            world.payment.wallets.rows[each.owner_id, CURRENCY] = each.balance_minor
            for card in each.cards:
                gateway = WALLET if card.token is None else GATEWAY
                world.renewal.methods.rows[card.payment_method_id] = (each.owner_id, "active")
                world.payment.methods.rows[card.payment_method_id] = MethodLine(
                    card.payment_method_id,
                    each.owner_id,
                    gateway,
                    "active",
                    None,
                    (),
                    card.token,
                    sha256(f"{gateway} {card.payment_method_id}".encode()).digest() if card.token else None,
                )
            if each.has_rule:
                cards = [card.payment_method_id for card in each.cards]
                says = short_form(("exhausted",), OFFERING, tuple(cards), 2000, CURRENCY, enabled=True)
                world.renewal.rules.rows[name] = RenewalRule(name, 1, says, "mandate")
                world.renewal.mandates.rows[name, "mandate"] = _mandate(name, each.owner_id, world.loop.now)
        world.broker.heard = self._hear

    def begin(self) -> None:
        """Every wish at its time."""
        for wish in self._world.plan.wishes:
            self._waiting[str(self.renewal_id(wish))] = wish
            self._world.loop.work_later(wish.at, self._ask, wish)
            if wish.twice:
                self._world.loop.work_later(wish.at + 2.0, self._ask, wish)
            if wish.in_person_after is not None:
                self._world.loop.work_later(wish.at + wish.in_person_after, self._ask_in_person, wish)
            if wish.cancels_after is not None:
                self._world.loop.work_later(wish.at + wish.cancels_after, self._cancel, wish)

    @staticmethod
    def renewal_id(wish: Wish) -> UUID:
        """The id that the wish's renewal will have."""
        name = wish.subscriber.subscription_id
        if wish.subscriber.has_rule:
            return Trigger(name, _cycle(wish), "exhausted", None).renewal_id
        return Request(CALLER, f"{name}-{wish.request_id}", name, "", 0, "", (), None).renewal_id

    @staticmethod
    def in_person_id(wish: Wish) -> UUID:
        """The id of what somebody asks for in person although there is a rule."""
        request_id = f"{wish.subscriber.subscription_id}-{wish.request_id}-{IN_PERSON}"
        return Request(CALLER, request_id, "", "", 0, "", (), None).renewal_id

    # -- asking -------------------------------------------------------------------------------------

    def _ask(self, wish: Wish) -> None:
        now, name = self._world.loop.now, wish.subscriber.subscription_id
        message: Message
        if wish.subscriber.has_rule:
            message = QuotaExhausted(
                subscription_id=name, cycle=_cycle(wish), remaining_bytes=0, occurred_at=now
            )
        else:
            message = self._request(wish, wish.request_id, wish.max_amount_minor)
        self._world.tell(name, f"asks for a renewal ({self.renewal_id(wish)})")
        self._say(message)

    def _ask_in_person(self, wish: Wish) -> None:
        """Of the rule's own accord it may be under way: then that one gives way, or is there first."""
        name = wish.subscriber.subscription_id
        self._world.tell(name, f"asks for a renewal in person ({self.in_person_id(wish)})")
        self._say(self._request(wish, f"{wish.request_id}-{IN_PERSON}", 2000))

    def _request(self, wish: Wish, request_id: str, max_amount_minor: int) -> RequestRenewal:
        name = wish.subscriber.subscription_id
        return RequestRenewal(
            caller=CALLER,
            request_id=f"{name}-{request_id}",
            subscription_id=name,
            offering_id=OFFERING,
            expected_amount_minor=max_amount_minor,
            currency=CURRENCY,
            payment_method_ids=tuple(card.payment_method_id for card in wish.subscriber.cards),
            payer_id=None,
            act_before=self._world.loop.now + timedelta(minutes=10),
        )

    def _say(self, message: Message) -> None:
        headers: list[tuple[str, bytes | None]] = [("ce_type", type(message).__name__.encode())]
        stamp = int(self._world.loop.now.timestamp() * 1000)
        value = message.model_dump_json().encode()
        self._world.broker.write(message.topic, message.key.encode(), value, headers, stamp)

    def _cancel(self, wish: Wish) -> None:
        self._world.tell(wish.subscriber.subscription_id, "calls it off")
        self._act(self.renewal_id(wish), CustomerCancels("customer"))

    def _hear(self, record: Record) -> None:
        """What the services say to people."""
        if record.topic != "renewals.v1" or ("ce_type", b"CustomerActionRequired") not in record.headers:
            return
        asked = orjson.loads(record.value or b"{}")
        wish = self._waiting.get(asked["renewal_id"])
        self._asked[asked["renewal_id"]] += 1
        if wish is not None and wish.pays_after is not None and self._asked[asked["renewal_id"]] <= _TRIES:
            self._world.loop.work_later(wish.pays_after, self._pay, wish, asked)

    def _pay(self, wish: Wish, asked: dict[str, Any]) -> None:
        """Confirm at the bank's page, or name the next of one's own methods."""
        world, renewal_id = self._world, UUID(asked["renewal_id"])
        if asked["action"] == "confirm_payment":
            state: Any = world.servers["psp"].gateway.state
            for intent_id in state.by_renewal.get(asked["renewal_id"], []):
                outcome = "succeeded" if renewal_id.int % 4 else "failed"
                world.tell(wish.subscriber.subscription_id, f"authenticates: {outcome}")
                body = orjson.dumps({"outcome": outcome})
                target = f"/v1/payment_intents/{intent_id}/authenticate"
                world.servers["psp"].arrive(SandboxRequest("POST", target, None, body))
            return
        names = [card.payment_method_id for card in wish.subscriber.cards]
        chosen = names[(names.index(asked["payment_method_id"]) + 1) % len(names)]
        world.tell(wish.subscriber.subscription_id, f"chooses {chosen}")
        self._act(renewal_id, CustomerRetries("customer", chosen))

    # -- operators ----------------------------------------------------------------------------------

    def look_after_the_parked(self) -> bool:
        """Tell the authority what the carrier's own journal says; whether there was anything to tell."""
        told = False
        applied = {
            effect.reference
            for effect in self._world.servers["carrier"].effects
            if effect.effect == "applied"
        }
        for renewal_id, line in sorted(self._world.renewal.renewals.rows.items()):
            if line.renewal.parked_reason == "top_up_undetermined" and line.renewal.state == "parked":
                found = "applied" if str(renewal_id) in applied else "not_applied"
                self._world.tell("operator", f"finds out that {str(renewal_id)[:8]} is {found}")
                self._act(renewal_id, OperatorResolves("operator", found))  # type: ignore[arg-type]
                self.resolved.add(str(renewal_id))
                told = True
        return told

    # -- the PSP's webhooks -------------------------------------------------------------------------

    def carry_webhook(self, delivery: Delivery) -> None:
        """Bring it to some process of payment, as often as the PSP tries."""

        event = orjson.loads(delivery.body)
        about = event["data"]["object"]["metadata"].get("renewal_id", "")
        if delivery.honest:
            self.untold.add(about)

        async def told(replica: Replica) -> None:
            secret = WEBHOOK_SECRET.encode() if delivery.honest else b"not the secret"
            at_seconds = int(self._world.loop.now.timestamp())
            brought, name = self.brought.setdefault(about, []), event["type"]
            name = name if delivery.honest else f"forged {name}"
            try:
                await _receiver(replica)(_Body(delivery.body), signature(secret, at_seconds, delivery.body))
            except Exception as refusal:
                brought.append((name, type(refusal).__name__))
                raise
            brought.append((name, TAKEN))
            if delivery.honest:
                self.untold.discard(about)

        delay = delivery.delay_us / 1_000_000 + 0.01
        tries = 6 if delivery.honest else 1
        self._world.loop.work_later(delay, self._ask_some, "payment", told, tries)

    # -- somebody answers ---------------------------------------------------------------------------

    def _act(self, renewal_id: UUID, action: Action) -> None:
        policy = renewal_wiring.policy_of(SETTINGS["renewal"])  # type: ignore[arg-type] # the renewal service's

        async def work(replica: Replica) -> None:
            async def act(transaction: Transaction) -> None:
                locked = await renewal_store.lock(transaction.connection, [renewal_id])
                moves = Moves(transaction, policy, locked)
                for renewal in locked:
                    moves.apply(renewal, action, None)
                await moves.write()

            await replica.transactions.run(act)

        self._ask_some("renewal", work, 8)

    def _ask_some(self, service: str, work: Callable[[Replica], Awaitable[None]], tries: int) -> None:
        """Have a process do it; another one, or the same later, where it does not answer."""
        world = self._world
        replica = world.alive(service)
        done: list[bool] = []
        if replica is not None:
            world.spawn(replica, _answered(work(replica), done))
        if tries > 1:
            world.loop.work_later(_PATIENCE_SECONDS, self._ask_again, service, work, tries - 1, done)

    def _ask_again(
        self, service: str, work: Callable[[Replica], Awaitable[None]], tries: int, done: list[bool]
    ) -> None:
        if not done:
            self._ask_some(service, work, tries)


async def _answered(work: Awaitable[None], done: list[bool]) -> None:
    try:
        await work
    except Exception:
        return  # an error is an answer that makes one ask again
    done.append(True)


def _cycle(wish: Wish) -> int:
    return int(wish.request_id.rpartition("-")[2])


class _Body:
    """As much of a request as the webhook's route reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def body(self) -> bytes:
        return self._content


def _receiver(replica: Replica) -> Any:
    for router in replica.service.routers:
        for route in router.routes:
            if getattr(route, "path", "") == "/v1/webhooks/psp":
                return route.endpoint  # type: ignore[attr-defined]
    raise AssertionError("payment has no route for webhooks")
