"""Whose number is whose, as renewal has heard it."""

import json
from dataclasses import replace

from services.renewal.projections import keep_projections
from shared.contracts.subscriptions import SubscriptionChanged
from shared.messaging.received import Received
from tests.integration.renewal.conftest import Subscriber, someone
from tests.integration.wired import Wired


async def number_of(renewal: Wired, one: Subscriber) -> str | None:
    found: str | None = await renewal.pool.fetchval(
        "select msisdn from subscriber_numbers where subscription_id = $1", one.subscription_id
    )
    return found


def unaware(renewal: Wired, one: Subscriber, version: int) -> Received:
    """As a process from before numbers says it."""
    received = renewal.received(one.subscription(version))
    said = json.loads(received.message.model_dump_json())
    del said["msisdn"]
    return replace(received, message=SubscriptionChanged.model_validate_json(json.dumps(said)))


async def test_the_newest_word_about_a_number_counts_in_whatever_order_it_comes(renewal: Wired) -> None:
    one, other = someone(), someone()
    await renewal.consume(
        "projections",
        one.subscription(1, msisdn="+5350000001"),
        one.subscription(3, msisdn="+5350000003"),
        one.subscription(2, msisdn="+5350000002"),
        other.subscription(2),
    )
    await renewal.consume("projections", other.subscription(1, msisdn="+5350000009"))
    assert (await number_of(renewal, one), await number_of(renewal, other)) == ("+5350000003", None)
    await renewal.consume("projections", one.subscription(4))
    assert await number_of(renewal, one) is None


async def test_a_process_from_before_numbers_takes_nobody_s_number_away(renewal: Wired) -> None:
    one = someone()
    named = renewal.received(one.subscription(1, msisdn="+5350000011"))
    for batch in ([named, unaware(renewal, one, 2)], [unaware(renewal, one, 3)]):
        async with renewal.transactions.begin() as transaction:
            await keep_projections(transaction, batch)
    assert await number_of(renewal, one) == "+5350000011"


async def test_nothing_is_kept_of_whoever_never_had_a_number(renewal: Wired) -> None:
    one = someone()
    await renewal.consume("projections", one.subscription())
    assert not any("subscriber_numbers" in statement for statement in renewal.statements)
