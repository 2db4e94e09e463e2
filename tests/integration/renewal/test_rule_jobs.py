"""Many rules paused and resumed: shown first, then done a batch at a time, each audited."""

import asyncio
import time
from typing import Any

import pytest

from services.renewal.domain.policy import POLICY
from services.renewal.rules import pausing
from services.renewal.rules.jobs import RuleJobs
from shared.contracts.renewals import RenewalRequested
from tests.integration.renewal.conftest import Subscriber, offering, someone
from tests.integration.renewal.operating import Operator
from tests.integration.wired import Reply, Wired

WHY = "prices of the carrier are wrong, ticket 31"
JOBS = "/v1/operator/rule-jobs"
SECONDS = 20.0


async def ruled(renewal: Wired, brand: str, how_many: int, carrier: str = "cubacel") -> list[Subscriber]:
    """Subscribers of that brand, each with a rule."""
    people = [someone() for _ in range(how_many)]
    told = [
        message
        for one in people
        for message in (
            one.subscription(brand=brand, carrier=carrier),
            one.customer(),
            one.card(0),
            one.card(1),
        )
    ]
    await renewal.consume("projections", offering(), *told)
    items = [one.rule() | {"subscription_id": one.subscription_id} for one in people]
    reply = await renewal.request("POST", "/v1/renewal-rules/bulk", {"items": items})
    assert reply.body["accepted"] == how_many, reply
    return people


async def make(renewal: Wired, action: str, name: str = "ana", **wanted: Any) -> Reply:
    return await Operator(renewal, name).post(JOBS, action=action, filter=wanted, why=WHY)


async def start(renewal: Wired, made: Reply, rules: int | None = None) -> Reply:
    count = made.body["rules"] if rules is None else rules
    return await Operator(renewal).post(f"{JOBS}/{made.body['job_id']}/start", rules=count, why=WHY)


async def ended(renewal: Wired, made: Reply) -> dict[str, Any]:
    deadline = time.monotonic() + SECONDS
    while True:
        job: dict[str, Any] = (await Operator(renewal).get(f"{JOBS}/{made.body['job_id']}")).body
        if job["state"] != "running":
            return job
        assert time.monotonic() < deadline, job
        await asyncio.sleep(0.05)


async def paused(renewal: Wired, people: list[Subscriber]) -> list[bool]:
    found = []
    for one in people:
        path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule"
        found.append((await renewal.request("GET", path)).body["paused"] is not None)
    return found


async def test_a_dry_run_counts_and_shows_and_changes_nothing(renewal: Wired) -> None:
    people = await ruled(renewal, "rj-dry", 3)
    await ruled(renewal, "rj-other", 1)
    made = await make(renewal, "pause", brand="rj-dry")
    assert (made.status, made.body["state"], made.body["rules"]) == (201, "dry_run", 3)
    assert set(made.body["sample"]) == {one.subscription_id for one in people}
    assert await paused(renewal, people) == [False] * 3


async def test_all_rules_of_a_brand_are_paused_then_resumed_and_renew_what_ran_out(renewal: Wired) -> None:
    people = await ruled(renewal, "rj-all", 3)
    [other] = await ruled(renewal, "rj-none", 1)
    made = await make(renewal, "pause", brand="rj-all", carrier="cubacel")
    assert (await start(renewal, made)).status == 202
    assert (await ended(renewal, made))["changed"] == 3
    assert await paused(renewal, [*people, other]) == [True, True, True, False]
    await renewal.consume("admission", people[0].exhausted())
    resumed = await make(renewal, "resume", brand="rj-all")
    await start(renewal, resumed)
    assert (await ended(renewal, resumed))["changed"] == 3
    assert await paused(renewal, people) == [False] * 3
    asked = [said.subscription_id for said in renewal.said(RenewalRequested)]
    assert asked.count(people[0].subscription_id) == 1
    lines = (await Operator(renewal).get("/v1/operator/audit?operator=ana")).body["items"]
    about = [line["action"] for line in lines if line["choice"] == people[0].subscription_id]
    assert about == ["resume rule", "pause rule"]
    of_job = [line["step"] for line in lines if line["job_id"] == made.body["job_id"]]
    assert of_job == ["finished", "started", "proposed"]


async def test_what_subscribers_have_stopped_is_paused_beside_and_never_resumed_by_a_job(
    renewal: Wired,
) -> None:
    people = await ruled(renewal, "rj-stop", 3)
    async with renewal.transactions.begin() as transaction:
        for one in people[:2]:
            await pausing.opt_out(transaction, one.subscription_id, "text-messages:sms-a", "STOP")
    resumed = await make(renewal, "resume", brand="rj-stop")
    assert resumed.body["rules"] == 0, "nobody but the subscriber has paused them"
    made = await make(renewal, "pause", brand="rj-stop")
    await start(renewal, made)
    assert (await ended(renewal, made))["changed"] == 3
    resumed = await make(renewal, "resume", brand="rj-stop")
    await start(renewal, resumed)
    assert (await ended(renewal, resumed))["changed"] == 3
    assert await paused(renewal, people) == [True, True, False]


@pytest.mark.parametrize("condition", ["payer_id", "offering_id"])
async def test_a_payers_or_an_offerings_rules_are_found(renewal: Wired, condition: str) -> None:
    one, _ = await ruled(renewal, f"rj-{condition}", 2)
    wanted = {"payer_id": one.owner_id} if condition == "payer_id" else {"offering_id": "cuba-1gb"}
    made = await make(renewal, "pause", brand=f"rj-{condition}", **wanted)
    assert made.body["rules"] == (1 if condition == "payer_id" else 2)


async def test_a_job_that_was_not_seen_as_it_is_or_is_over_is_not_started(renewal: Wired) -> None:
    await ruled(renewal, "rj-seen", 1)
    made = await make(renewal, "pause", brand="rj-seen")
    assert (await start(renewal, made, rules=7)).problem == "rule-job-count-differs"
    stopped = await Operator(renewal).post(f"{JOBS}/{made.body['job_id']}/stop", why=WHY)
    assert stopped.body["state"] == "stopped"
    assert (await start(renewal, made)).problem == "rule-job-not-startable"
    again = await Operator(renewal).post(f"{JOBS}/{made.body['job_id']}/stop", why=WHY)
    assert again.problem == "rule-job-not-stoppable"
    empty = await make(renewal, "pause", brand="rj-nobody")
    assert (await start(renewal, empty)).problem == "rule-job-empty"


@pytest.mark.parametrize("per_second", [0.09, 1e-300, 801])
async def test_a_rate_that_is_none_is_refused_with_its_bounds(renewal: Wired, per_second: float) -> None:
    body = {"action": "pause", "filter": {"brand": "rj-rate"}, "why": WHY, "per_second": per_second}
    reply = await Operator(renewal).post(JOBS, **body)
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert ("800" if per_second > 1 else "0.1") in str(reply.body)


async def test_of_several_that_are_due_it_is_the_turn_of_the_one_that_has_waited_longest(
    renewal: Wired,
) -> None:
    made = []
    for brand in ("rj-first", "rj-second"):
        await ruled(renewal, brand, 3)
        made.append((await make(renewal, "pause", brand=brand)).body["job_id"])
    jobs = RuleJobs(renewal.transactions, POLICY)
    async with renewal.transactions.begin() as transaction:
        for started, job_id in enumerate(made, 1):
            # The one that was started last has been due longest.
            await transaction.connection.execute(
                "update rule_jobs set state = 'running', started_by = 'ana', per_second = 4, "
                "started_at = '2026-01-01'::timestamptz + $2 * interval '1 day', "
                "next_at = '2026-02-01'::timestamptz - $2 * interval '1 day' where job_id = $1",
                job_id,
                started,
            )
        assert await jobs.go_on(transaction) == 1
        reached = "select job_id from rule_jobs where job_id = any($1) and reached <> ''"
        [row] = await transaction.connection.fetch(reached, made)
        assert str(row["job_id"]) == made[1]
        await transaction.connection.execute(
            "update rule_jobs set state = 'stopped' where job_id = any($1)", made
        )


async def test_a_filter_that_would_take_everything_is_refused(renewal: Wired) -> None:
    for named in ([], ["brand"], ["brand", "payer_id"]):
        reply = await make(renewal, "pause", "ana", **dict.fromkeys(named))
        assert (reply.status, reply.problem) == (422, "invalid-request"), named
    unknown = await Operator(renewal).get(f"{JOBS}/0199e2c4-7b1a-7c3e-9d52-4a8b6f0e1c27")
    assert (unknown.status, unknown.problem) == (404, "rule-job-not-found")
    assert (await Operator(renewal).get(f"{JOBS}?limit=2")).status == 200
