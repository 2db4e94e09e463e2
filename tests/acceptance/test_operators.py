"""Operators at a running stack: the command line, a bulk job that outlives a process, the switch in all."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

from shared.contracts.renewals import TOPIC, AutomaticChargesStopped
from tests.acceptance.conftest import BURST_RENEWALS
from tests.acceptance.http_caller import Reply
from tests.acceptance.office import DEADLINE_SECONDS, Office
from tests.acceptance.subscribers import DATA_BYTES, RECORD_BYTES, Subscriber

RENEWALS = 40
PER_SECOND = 10
WHY = "the acceptance of operators"
COMMAND_SECONDS = 60


async def typed(office: Office, *words: str, name: str = "olga", process: str = "renewal") -> str:
    """What the command line prints; it must succeed."""
    environment = {
        **os.environ,
        "RECARGA_RENEWAL_URL": office.stack.service_url(process),
        "RECARGA_OPERATOR_TOKEN": office.signed_in(name)["authorization"].removeprefix("Bearer "),
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "services.renewal.operators", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


async def asked(
    office: Office, method: str, path: str, process: str = "renewal", name: str = "olga", **body: Any
) -> Reply:
    """A request of an operator that must succeed."""
    reply = await office.http(process, method, path, body or None, office.signed_in(name))
    assert reply.status < 300, reply.content
    return reply


async def waiting_for_payers(office: Office, how_many: int) -> list[str]:
    """Renewals that wait for their payer to confirm."""
    people = [office.subscriber(cards=("sca",)) for _ in range(how_many)]
    await office.seed(people)
    begun = [await office.begun(one) for one in people]
    for renewal_id in begun:
        await office.in_state(renewal_id, "awaiting_customer")
    return begun


async def test_a_bulk_job_goes_on_when_a_process_that_works_on_it_is_killed(office: Office) -> None:
    mine = await waiting_for_payers(office, RENEWALS)
    made = await asked(
        office,
        "POST",
        "/v1/operator/jobs",
        action="cancel",
        filter={"state": ["awaiting_customer"]},
        per_second=PER_SECOND,
        why=WHY,
    )
    path, count = f"/v1/operator/jobs/{made.body['job_id']}", made.body["renewals"]
    assert count >= RENEWALS
    await asked(office, "POST", f"{path}/start", renewals=count, why=WHY)
    seen: dict[str, Any] = {}

    async def reached(done: int) -> bool:
        seen.update((await asked(office, "GET", path, "renewal-2")).body)
        return bool(seen["done"] >= done)

    await office.until(lambda: reached(RENEWALS // 4), "a part of the job is done")
    await office.stack.kill("renewal-1")
    assert seen["left"] > 0, "the kill came too late to meet anything"
    await office.until(lambda: reached(RENEWALS), "the other process has gone on")
    await office.stack.restart("renewal-1")
    for renewal_id in mine:
        await office.in_state(renewal_id, "cancelled")
        deeds = (await asked(office, "GET", f"/v1/operator/audit?renewal_id={renewal_id}")).body["items"]
        assert [(deed["action"], deed["job_id"]) for deed in deeds] == [("cancel", made.body["job_id"])]
        assert "captured" not in await office.effects(renewal_id)


async def test_the_switch_stops_what_rules_charge_in_every_process_and_lets_it_come_back(
    office: Office,
) -> None:
    people = [office.subscriber(has_rule=True) for _ in range(6)]
    await office.seed(people)
    by_hand = await office.seeded()
    assert "everywhere" in await typed(office, "charges", "stop", "--everywhere", "--why", WHY)
    try:
        await office.say(*(record for one in people for record in (one.use("first"), one.use("second"))))

        async def kept() -> bool:
            told = await asked(office, "GET", "/v1/operator/charge-stops", "renewal-2")
            return bool(told.body["kept_triggers"] >= len(people))

        await office.until(kept, "all triggers are kept")
        assert [await office.renewals_of(one) for one in people] == [[]] * len(people)
        explained = await typed(office, "explain", people[0].subscription_id)
        assert WHY in explained
        assert await office.metric("renewal", "recarga_renewal_requests_total", answer="kept") >= len(people)
        await office.in_state(await office.begun(by_hand), "completed")
    finally:
        await typed(office, "charges", "resume", "--everywhere", "--why", WHY, process="renewal-2")

    async def renewed(one: Subscriber) -> bool:
        found = await office.renewals_of(one)
        return [renewal["state"] for renewal in found] == ["completed"]

    for one in people:
        await office.until(lambda one=one: renewed(one), f"{one.subscription_id} is renewed")  # type: ignore[misc] # bound now


async def stopped_by_the_breaker(office: Office, subscription_id: str) -> list[AutomaticChargesStopped]:
    """What whoever must be told of that subscription's runaway has been told, read to the topic's end."""
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=office.stack.kafka_bootstrap, auto_offset_reset="earliest"
    )
    told: list[AutomaticChargesStopped] = []
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    told += [
                        AutomaticChargesStopped.model_validate_json(record.value)
                        for record in records
                        if dict(record.headers).get("ce_type") == b"AutomaticChargesStopped"
                    ]
    finally:
        await consumer.stop()
    return [one for one in told if one.name == subscription_id]


async def has_cycle(office: Office, subscriber: Subscriber, cycle: int) -> bool:
    """Whether usage has heard of so many top-ups."""
    return bool((await office.buckets(subscriber))["cycle"] == cycle)


async def has_renewed(office: Office, subscriber: Subscriber, times: int) -> bool:
    found = await office.renewals_of(subscriber)
    return len(found) == times and all(renewal["state"] == "completed" for renewal in found)


async def last_word(office: Office, subscriber: Subscriber) -> dict[str, Any]:
    """What became of the newest trigger."""
    path = f"/v1/subscriptions/{subscriber.subscription_id}/renewal-decisions"
    decided: dict[str, Any] = (await office.ok("renewal", "GET", path)).body["items"][0]
    return decided


async def run_away(office: Office, subscriber: Subscriber) -> None:
    """All that a renewal grants is used up, again and again, until the breaker stops it."""
    size = 2 * RECORD_BYTES
    for cycle in range(BURST_RENEWALS):
        await office.say(subscriber.use(f"all-of-cycle-{cycle}", size=size))
        await office.until(lambda c=cycle + 1: has_renewed(office, subscriber, c), f"renewal {cycle + 1}")  # type: ignore[misc] # bound now
        await office.until(lambda c=cycle + 1: has_cycle(office, subscriber, c), f"cycle {cycle + 1}")  # type: ignore[misc] # bound now
        size = DATA_BYTES
    await office.say(subscriber.use("one-too-many", size=size))

    async def is_stopped() -> bool:
        return bool((await last_word(office, subscriber))["reason"] == "breaker")

    await office.until(is_stopped, "the breaker has stopped it")


async def test_a_subscription_that_runs_away_is_stopped_and_people_are_told_until_one_resumes_it(
    office: Office,
) -> None:
    runaway, calm = await office.seeded(has_rule=True), await office.seeded(has_rule=True)

    await run_away(office, runaway)

    decision = await last_word(office, runaway)
    assert (decision["outcome"], decision["cycle"]) == ("waiting", BURST_RENEWALS)
    assert await has_renewed(office, runaway, BURST_RENEWALS)
    [told] = await stopped_by_the_breaker(office, runaway.subscription_id)
    assert (told.kind, told.counted, told.limit) == ("subscription", BURST_RENEWALS, BURST_RENEWALS)
    assert "breaker" in await typed(office, "explain", runaway.subscription_id, process="renewal-2")

    async def is_alarming() -> bool:
        return await office.metric("renewal", "recarga_renewal_burst_breaker_open", kind="subscription") > 0

    await office.until(is_alarming, "the alert's gauge is up")
    await office.say(calm.use("all", size=2 * RECORD_BYTES))
    await office.until(lambda: has_renewed(office, calm, 1), "whoever does not run away is renewed")

    await typed(office, "charges", "resume", "--subscription", runaway.subscription_id, "--why", WHY)

    await office.until(lambda: has_renewed(office, runaway, BURST_RENEWALS + 1), "what waited goes on")


async def test_the_command_line_finds_and_shows_a_renewal_of_the_stack(office: Office) -> None:
    subscriber = await office.seeded()
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "completed")
    assert renewal_id in await typed(office, "search", "--subscription", subscriber.subscription_id)
    shown = await typed(office, "show", renewal_id)
    assert "TopUpApplied" in shown
    assert "nothing: it is closed" in shown
