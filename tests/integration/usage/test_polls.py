"""Carriers that count and do not report are asked, each subscription in its turn, through a real sandbox."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from services.usage import settings, wiring
from services.usage.counting import Carriers
from services.usage.domain.carrier import Carrier
from services.usage.domain.reconcile import Bounds
from services.usage.domain.triggers import Wants
from services.usage.polls.calls import Asked, PollCalls
from services.usage.polls.enrolment import Enrolment
from services.usage.polls.gateways.carrier import BalanceAnswer
from services.usage.polls.store import Poll
from services.usage.reports import Reports
from shared.clock import utc_now
from shared.contracts.quotas import QuotaExhausted
from tests.conftest import FreshDatabase
from tests.integration.sandbox.conftest import Sandbox
from tests.integration.sandboxed import Journal, until
from tests.integration.usage.conftest import someone, subscription, top_up
from tests.integration.wired import Wired, wired

POLLED = {"counting": "snapshots", "threshold_percent": 10, "poll_seconds": 10, "version": 0}
DAY = timedelta(days=1)
CALM = {"breaker_failures": 1_000_000, "breaker_sample": 1_000_000}


@pytest.fixture(scope="module")
async def asking(
    fresh_database: FreshDatabase, kafka_bootstrap: str, sandbox: Sandbox
) -> AsyncIterator[Wired]:
    url = await fresh_database("usage")
    told = settings.Settings(
        database_url=url,
        carrier_url=f"http://127.0.0.1:{sandbox.carrier.port}",
        usage_carriers={"*": CALM, "slow": {"calls_per_second": 5, **CALM}},
        usage_poll_look_seconds=0.05,
        usage_poll_call_seconds=0.5,
        usage_poll_lease_seconds=3.0,
    )
    async with wired(
        lambda transactions: wiring.build(told, transactions), url, kafka_bootstrap, "usage"
    ) as service:
        yield service


async def polled(asking: Wired, carrier: str) -> None:
    reply = await asking.request("PUT", f"/v1/carriers/{carrier}", POLLED)
    assert reply.status == 200, reply


async def subscribed(asking: Wired, carrier: str, version: int = 1, **change: object) -> tuple[str, str]:
    who, its_iccid = someone()
    state = subscription(who, its_iccid, version)
    await asking.consume("subscriptions", state.model_copy(update={"carrier": carrier, **change}))
    await asking.consume("top-ups", top_up(who, 1, 1000))
    return who, its_iccid


def bought(sandbox: Sandbox, its_iccid: str, size: int) -> None:
    """The carrier has so much for that eSIM."""
    body = {
        "iccid": its_iccid,
        "reference": its_iccid,
        "data_bytes": size,
        "validity_seconds": 86_400,
        "stacking": "extend",
        "product_code": "cu1",
    }
    assert sandbox.carrier.call("POST", "/v1/topups", body, key=its_iccid).status == 201


def asked_at(sandbox: Sandbox, its_iccid: str) -> list[datetime]:
    """When the carrier was asked for that eSIM."""
    return [
        datetime.fromisoformat(row["at"])
        for row in Journal(sandbox.carrier, "iccid").requests_of(its_iccid, "get_profile")
    ]


def questions(sandbox: Sandbox, its_iccid: str) -> int:
    return len(asked_at(sandbox, its_iccid))


async def left(asking: Wired, who: str) -> int:
    remaining: int = (await asking.request("GET", f"/v1/subscriptions/{who}/buckets")).body["remaining_bytes"]
    return remaining


async def is_left(asking: Wired, who: str, size: int) -> bool:
    return await left(asking, who) == size


async def test_what_the_carrier_has_is_asked_for_and_taken_over(asking: Wired, sandbox: Sandbox) -> None:
    await polled(asking, "asked")
    who, its_iccid = someone()
    bought(sandbox, its_iccid, 600)
    state = subscription(who, its_iccid).model_copy(update={"carrier": "asked"})
    await asking.consume("top-ups", top_up(who, 1, 1000))
    await asking.consume("subscriptions", state)
    await until(lambda: is_left(asking, who, 600))
    shown = (await asking.request("GET", f"/v1/subscriptions/{who}/drift")).body
    assert (shown["source"], shown["corrected_bytes"]) == ("asked", -400)


async def test_nobody_is_asked_again_before_it_is_time(asking: Wired, sandbox: Sandbox) -> None:
    await polled(asking, "patient")
    first, its_iccid = await subscribed(asking, "patient")
    await until(lambda: is_left(asking, first, 0))
    second, _ = await subscribed(asking, "patient")
    await until(lambda: is_left(asking, second, 0))
    assert questions(sandbox, its_iccid) == 1
    (said,) = [each for each in asking.said(QuotaExhausted) if each.subscription_id == first]
    assert said.cycle == 1
    await asking.pool.execute("update polls set due_at = now() where subscription_id = $1", first)
    await until(lambda: questions(sandbox, its_iccid) == 2)


async def test_subscriptions_from_before_the_setting_are_taken_in(asking: Wired) -> None:
    people = [await subscribed(asking, "later") for _ in range(7)]
    await polled(asking, "later")
    for who, _ in people:
        await until(partial(is_left, asking, who, 0))


async def test_enrolment_goes_on_where_another_process_died(asking: Wired) -> None:
    people = {(await subscribed(asking, "walked"))[0] for _ in range(5)}
    await asking.pool.execute(
        "insert into carriers (carrier, counting, overrun, poll_seconds, polled_from, set_by, set_at)"
        " values ('walked', 'snapshots', 'written_off', 3600, '', 'test', now())"
    )
    enrolment = Enrolment(asking.transactions, at_once=2)
    while await asking.transactions.run(enrolment.step):
        pass
    rows = await asking.pool.fetch("select subscription_id from polls where carrier = 'walked'")
    assert {row["subscription_id"] for row in rows} == people


async def test_a_carrier_that_does_not_answer_is_asked_again_in_its_turn(
    asking: Wired, sandbox: Sandbox
) -> None:
    rules = [{"operation": "get_profile", "behaviour": "server_error"}]
    assert sandbox.carrier.call("PUT", "/faults", rules).status == 200
    try:
        await polled(asking, "broken")
        who, _ = await subscribed(asking, "broken")
        await until(
            lambda: asking.pool.fetchval(
                # Later than any lease: it was asked, and has its turn again.
                "select due_at > now() + interval '5 seconds' from polls where subscription_id = $1",
                who,
            )
        )
    finally:
        assert sandbox.carrier.call("DELETE", "/faults").status == 200
    assert await left(asking, who) == 1000
    await asking.pool.execute("update polls set due_at = now() where subscription_id = $1", who)
    await until(lambda: is_left(asking, who, 0))


async def test_who_asked_and_died_is_followed_when_the_lease_is_over(asking: Wired) -> None:
    await polled(asking, "leased")
    who, its_iccid = await subscribed(asking, "unpolled")
    await asking.pool.execute(
        "insert into polls (subscription_id, carrier, iccid, iccid_changed_at, due_at)"
        " values ($1, 'leased', $2, now(), now() + interval '0.3 seconds')",
        who,
        its_iccid,
    )
    await until(lambda: is_left(asking, who, 0))


@pytest.mark.parametrize(
    "change", [{"status": "terminated"}, {"carrier": "somebody-else"}], ids=["terminated", "moved"]
)
async def test_who_is_gone_is_not_asked_about(asking: Wired, change: dict[str, Any]) -> None:
    await polled(asking, "leaving")
    who, its_iccid = await subscribed(asking, "leaving")
    assert await asking.pool.fetchval("select count(*) from polls where subscription_id = $1", who) == 1
    gone = subscription(who, its_iccid, 2).model_copy(update={"carrier": "leaving", **change})
    await asking.consume("subscriptions", gone)
    assert await asking.pool.fetchval("select count(*) from polls where subscription_id = $1", who) == 0


async def test_a_new_esim_is_asked_about_instead_of_the_old_one(asking: Wired, sandbox: Sandbox) -> None:
    await polled(asking, "swapped")
    who, _ = await subscribed(asking, "swapped")
    await until(lambda: is_left(asking, who, 0))
    _, new = someone()
    bought(sandbox, new, 250)
    swapped = subscription(who, new, 2).model_copy(update={"carrier": "swapped"})
    assert swapped.changed_at - subscription(who, new).changed_at == timedelta(seconds=1)
    await asking.consume("subscriptions", swapped)
    await asking.pool.execute("update polls set due_at = now() where subscription_id = $1", who)
    await until(lambda: is_left(asking, who, 250))


async def test_an_answer_about_an_esim_that_was_replaced_meanwhile_is_not_taken(asking: Wired) -> None:
    await polled(asking, "replaced")
    who, its_iccid = await subscribed(asking, "replaced")
    _, another = someone()
    await until(partial(is_left, asking, who, 0))
    reports = Reports(
        Carriers(Carrier("snapshots", "written_off", Wants(10))), Bounds(DAY, timedelta()), 1000
    )
    calls = PollCalls({}, reports, 1.0, utc_now)

    async def answered(about: str, remaining: int) -> int:
        outcome = Asked(Poll(who, "replaced", about), utc_now(), BalanceAnswer("answered", remaining))
        await asking.transactions.run(lambda transaction: calls.record(transaction, [outcome]))
        return await left(asking, who)

    assert await answered(another, 7) == 0
    assert await answered(its_iccid, 8) == 8


async def test_a_carrier_bears_only_so_many_questions(asking: Wired, sandbox: Sandbox) -> None:
    people = [await subscribed(asking, "slow") for _ in range(8)]
    await polled(asking, "slow")
    for who, _ in people:
        await until(partial(is_left, asking, who, 0))
    instants = sorted(at for _, its_iccid in people for at in asked_at(sandbox, its_iccid))
    assert len(instants) == 8
    # Permits are for 0.8 of the rate, and the network may push two together.
    assert instants[-1] - instants[0] > timedelta(seconds=1)
