"""What a batch must know of the cards it is to try: whose they are, and how often they were declined lately.

One statement. Only for cards near their network's cap it takes two more: then one batch at a time decides
about each card, and what is under way counts too, so that no two of them take the last try.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from services.payment import store
from services.payment.domain.commands import Command, named_method
from services.payment.domain.network_caps import is_near_cap, let_through
from services.payment.domain.payment import Method
from shared.messaging.transaction import Transaction

Methods = tuple[Mapping[str, Method], Mapping[str, str | None]]


async def read_methods(transaction: Transaction, commands: Collection[Command]) -> Methods:
    """The methods that the commands name, and apart from them the tokens."""
    named = {name for command in commands if (name := named_method(command)) is not None}
    if not named:
        return {}, {}
    methods, tokens = await store.methods(transaction.connection, named)
    near = {
        name: method
        for name, method in methods.items()
        if method.declined_at and is_near_cap(method, transaction.now)
    }
    if not near:
        return methods, tokens
    return methods | await _held(transaction, near, commands), tokens


async def _held(
    transaction: Transaction, near: Mapping[str, Method], commands: Collection[Command]
) -> dict[str, Method]:
    """Cards near their caps, as they stand while nobody else tries them."""
    cards = await store.lock_cards(transaction.connection, near)
    asking: dict[bytes, dict[UUID, None]] = {card.card: {} for card in cards.values()}
    for command in commands:
        if (card := cards.get(named_method(command) or "")) is not None:
            asking[card.card][command.renewal_id] = None
    return {
        name: let_through(near[name], card.declined_at, card.under_way, asking[card.card], transaction.now)
        for name, card in cards.items()
        if name in near
    }
