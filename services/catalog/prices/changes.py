"""Prices are scheduled and withdrawn, several at once, each judged by itself."""

from collections.abc import Sequence
from datetime import timedelta

from services.catalog.prices import store
from services.catalog.prices.domain.schedule import Price, PriceRefused, schedule, withdraw
from services.catalog.revision import lock_price_list, next_revision
from shared.messaging.transaction import Transaction


async def schedule_prices(
    transaction: Transaction, wanted: Sequence[Price], notice: timedelta
) -> list[Price | PriceRefused]:
    """Each price as it stands then, or why it was refused; in the given order, each upon the ones before."""
    connection = transaction.connection
    now = await lock_price_list(connection)
    known = await store.read_prices(connection, {price.offering_id for price in wanted})
    answers: list[Price | PriceRefused] = []
    changed: dict[tuple[str, str], Price] = {}
    for price in wanted:
        prices = known.get(price.offering_id)
        if prices is None:
            answers.append(offering_not_found(price.offering_id))
            continue
        try:
            written = schedule(prices, price, now, notice)
        except PriceRefused as refused:
            answers.append(refused)
            continue
        if written is not None:
            prices[:] = [each for each in prices if each.price_id != written.price_id] + [written]
            changed[written.offering_id, written.price_id] = written
        answers.append(next(each for each in prices if each.price_id == price.price_id))
    if changed:
        await store.write_prices(connection, changed.values(), await next_revision(connection))
    return answers


async def withdraw_price(transaction: Transaction, offering_id: str, price_id: str, lead: timedelta) -> Price:
    """The price with its withdrawal, which may be an earlier one.

    Raises:
        PriceRefused: there is no such offering or price.
    """
    connection = transaction.connection
    now = await lock_price_list(connection)
    prices = (await store.read_prices(connection, [offering_id])).get(offering_id)
    if prices is None:
        raise offering_not_found(offering_id)
    price, is_new = withdraw(prices, price_id, now, lead)
    if is_new:
        await store.write_prices(connection, [price], await next_revision(connection))
    return price


def offering_not_found(offering_id: str) -> PriceRefused:
    """The refusal of a price for something that is not there."""
    return PriceRefused(
        "offering-not-found",
        f"There is no offering {offering_id}. Compare the id, or write it first.",
    )
