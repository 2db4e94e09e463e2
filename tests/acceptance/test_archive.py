"""After archiving, a replay of every topic from its beginning changes nothing."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.local.ports import Ports
from deploy.local.stack import Stack
from services.payment.archive import REMOVAL as PAYMENTS
from services.provisioning.topups.archive import REMOVAL as TOP_UPS
from services.renewal.archive import REMOVAL as RENEWALS
from shared.messaging.producer import Producer
from tests.acceptance.http_caller import send, send_json
from tests.acceptance.office import Office
from tests.acceptance.replaying import (
    Clock,
    InProcess,
    all_events,
    all_rows,
    archive_all,
    by_id,
    journals,
    kinds,
    take_any_time,
    until_all_is_read,
)
from tests.acceptance.subscribers import AMOUNT_MINOR, CURRENCY, Subscriber
from tests.conftest import UNSAFE_AND_FAST, readable_folder
from tests.integration.payment.test_webhooks import event, signed

REMOVALS = {"renewal": RENEWALS, "payment": PAYMENTS, "provisioning": TOP_UPS}
MONTHS = timedelta(days=40)
ANSWERS = {
    "RenewalPriced",
    "PaymentCaptured",
    "PaymentCancelled",
    "PaymentRefunded",
    "TopUpApplied",
    "TopUpRejected",
}
"""What is said again when it is asked for again."""


@pytest.fixture
async def own_office() -> AsyncIterator[Office]:
    """A stack of this test alone: its services run in this process, and are not started yet.

    Not called `office`: `make test` lets it run beside the stack of those who are (tests/conftest.py).
    """
    home: Path = readable_folder()
    try:
        async with Stack(
            home,
            ports=Ports.free(),
            components={"postgres", "kafka", "sandbox"},
            postgres_settings=UNSAFE_AND_FAST,
            on_signals=False,
        ) as stack:
            producer = Producer(stack.kafka_bootstrap, "acceptance", "acceptance")
            await producer.start()
            database = await asyncpg.create_pool(stack.superuser_url, min_size=1, max_size=4)
            try:
                yield Office(stack, producer, database)
                assert stack.deaths == []
            finally:
                await database.close()
                await producer.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def by_webhook(office: Office, body: bytes) -> None:
    """The PSP tells payment."""
    secret = office.stack.webhook_secret_file.read_text().strip()
    headers = {"sandbox-signature": signed(body, secret=secret), "content-type": "application/json"}
    reply = await send(office.stack.service_url("payment"), "POST", "/v1/webhooks/psp", body, headers)
    assert reply.body == {"result": "recorded"}


async def intent_of(office: Office, renewal_id: str) -> str:
    payment = await office.ok("payment", "GET", f"/v1/payments/{renewal_id}")
    return str(payment.body["provider_reference"])


async def charge_beside(office: Office, renewal_id: str) -> None:
    """Somebody takes the renewal's money once more, past payment, and the PSP tells of it."""
    charge = {
        "amount_minor": AMOUNT_MINOR,
        "currency": CURRENCY,
        "payment_method": "tok_ok",
        "metadata": {"renewal_id": renewal_id},
        "confirm": True,
    }
    headers = {"idempotency-key": str(uuid.uuid4())}
    intent = await send_json(office.stack.psp_url, "POST", "/v1/payment_intents", charge, headers)
    money = {"id": intent.body["id"], "amount_minor": AMOUNT_MINOR, "currency": CURRENCY}
    await by_webhook(office, event(renewal_id, **money))


def subscribers_of_every_kind(office: Office) -> dict[str, Subscriber]:
    """One subscriber for every kind of renewal, by what is to become of it."""
    return {
        "completed": office.subscriber(),
        "over-kafka": office.subscriber(),
        "by-a-rule": office.subscriber(has_rule=True),
        "second-card": office.subscriber(cards=("lost_card", "ok")),
        "answer-lost": office.subscriber(cards=("timeout_after_once",), carrier_code="33"),
        "surplus": office.subscriber(),
        "disputed": office.subscriber(),
        "refunded": office.subscriber(carrier_code="10"),
        "failed": office.subscriber(cards=("stolen_card",)),
        "cancelled": office.subscriber(cards=("sca",)),
    }


async def renewed(office: Office, subscribers: dict[str, Subscriber]) -> dict[str, str]:
    """A renewal of each, all ended: their ids."""
    await office.seed(list(subscribers.values()))
    # What a caller sends may still be acted upon in a year: only that it came before says no.
    asked = subscribers["over-kafka"].request("archived")
    await office.say(asked.model_copy(update={"act_before": asked.act_before + timedelta(days=400)}))
    ruled = subscribers["by-a-rule"]
    await office.say(ruled.use("first"), ruled.use("second"))
    found: dict[str, str] = {}
    for kind, subscriber in subscribers.items():
        if kind in ("over-kafka", "by-a-rule"):
            found[kind] = await begun_for(office, subscriber)
        else:
            found[kind] = await office.begun(subscriber, key=f"key-{kind}")
    await office.in_state(found["cancelled"], "awaiting_customer")
    await office.ok("renewal", "POST", f"/v1/renewals/{found['cancelled']}/cancel")
    for kind, renewal_id in found.items():
        await office.in_state(
            renewal_id, kind if kind in ("refunded", "failed", "cancelled") else "completed"
        )
    await charge_beside(office, found["surplus"])
    intent = await intent_of(office, found["disputed"])
    await by_webhook(office, event(found["disputed"], "charge.dispute.created", id=intent))
    return found


async def begun_for(office: Office, subscriber: Subscriber) -> str:
    """The renewal that began for that subscriber without our asking."""

    async def begun() -> bool:
        return bool(await office.renewals_of(subscriber))

    await office.until(begun, f"a renewal of {subscriber.subscription_id}")
    return str((await office.renewals_of(subscriber))[0]["renewal_id"])


@pytest.fixture
async def services(own_office: Office) -> AsyncIterator[InProcess]:
    """The services of the stack, not started yet; stopped before the stack is."""
    services = InProcess(own_office.stack, Clock())
    yield services
    await services.stop()


async def test_a_replay_of_everything_changes_nothing_once_all_is_archived(
    own_office: Office, services: InProcess
) -> None:
    office = own_office
    await services.start()
    await office.sell()
    subscribers = subscribers_of_every_kind(office)
    renewals = await renewed(office, subscribers)
    await until_all_is_read(office, services)
    before = await office.compared()
    assert before.is_balanced, before.discrepancies
    shown = {kind: await office.renewal(renewal_id) for kind, renewal_id in renewals.items()}
    await services.stop()

    await archive_all(office.stack, office.producer, REMOVALS)
    for table in ("renewal.renewals", "payment.payments", "provisioning.top_ups"):
        assert await office.database.fetchval(f"select count(*) from {table}") == 0, table  # noqa: S608 - ours
    archived = await all_rows(office)
    events = await all_events(office.stack)
    asked = await journals(office.stack)

    # Months later, all consumer groups begin anew.
    await take_any_time(office.stack.kafka_bootstrap)
    services.clock.ahead = MONTHS
    await services.start("-again")
    await until_all_is_read(office, services)

    assert await all_rows(office) == archived
    assert await journals(office.stack) == asked
    again = await all_events(office.stack)
    assert by_id(again) == by_id(events)
    # It was all read and answered once more.
    assert {kind for kind in kinds(events) if kinds(again)[kind] > kinds(events)[kind]} == ANSWERS
    after = await office.compared()
    assert (after.is_balanced, after.totals) == (True, before.totals)
    assert {kind: await office.renewal(renewal_id) for kind, renewal_id in renewals.items()} == shown
    same = await office.ask(subscribers["completed"], key="key-completed")
    assert (same.status, same.body["renewal_id"]) == (200, renewals["completed"])
    await what_is_new_is_noted(office, renewals["second-card"])


async def what_is_new_is_noted(office: Office, renewal_id: str) -> None:
    """A dispute after months finds payment and renewal, which are as they were but for that."""
    before = await office.renewal(renewal_id)
    intent = await intent_of(office, renewal_id)
    await by_webhook(office, event(renewal_id, "charge.dispute.created", id=intent))

    async def noted() -> bool:
        return bool((await office.renewal(renewal_id))["flags"] == ["disputed"])

    await office.until(noted, "the dispute is noted")
    now = await office.renewal(renewal_id)
    assert now["history"][:-1] == before["history"]
    assert now["history"][-1]["message"] == "PaymentDisputed"
    for table in ("renewal.renewals", "payment.payments"):
        assert await office.database.fetchval(f"select count(*) from {table}") == 1, table  # noqa: S608 - ours
    assert (await office.compared()).is_balanced
