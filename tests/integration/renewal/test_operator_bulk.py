"""One action on many renewals: shown first, then carried out slowly, once each, whatever happens."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from starlette.responses import Response

from services.renewal.domain.policy import POLICY
from services.renewal.operators.bulk import BulkJobs
from services.renewal.operators.bulk_routes import BulkRoutes
from services.renewal.operators.bulk_views import NewJob
from shared.clock import utc_now
from shared.contracts.payment_commands import CancelPayment
from shared.contracts.renewals import RenewalRefunded
from shared.contracts.topup_commands import ResolveTopUp
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction
from shared.operators.tokens import Operator as Who
from shared.operators.tokens import Tokens
from shared.operators.who import Gate
from tests.integration.renewal.conftest import About
from tests.integration.renewal.operating import Operator, of_a_new_brand, shown
from tests.integration.wired import Reply, Wired

WHY = "the carrier is back, ticket 12"
SECONDS = 20.0


async def dry_run(operator: Operator, brand: str, action: str = "cancel", **different: Any) -> Reply:
    """What the action would be done to."""
    body = {"action": action, "filter": {"brand": brand}, "why": WHY, "per_second": 50} | different
    return await operator.post("/v1/operator/jobs", **body)


async def start(operator: Operator, made: Reply, renewals: int | None = None) -> Reply:
    count = made.body["renewals"] if renewals is None else renewals
    return await operator.post(f"/v1/operator/jobs/{made.body['job_id']}/start", renewals=count, why=WHY)


async def ended(operator: Operator, made: Reply) -> dict[str, Any]:
    """The job once it is over."""
    deadline = time.monotonic() + SECONDS
    while True:
        job: dict[str, Any] = (await operator.get(f"/v1/operator/jobs/{made.body['job_id']}")).body
        if job["state"] != "running":
            return job
        assert time.monotonic() < deadline, job
        await asyncio.sleep(0.05)


async def parked_ones(renewal: Wired, how_many: int) -> tuple[str, list[About]]:
    brand, _people, abouts = await of_a_new_brand(renewal, how_many)
    for about in abouts:
        await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    return brand, abouts


async def hanging_ones(renewal: Wired, how_many: int) -> tuple[str, list[About]]:
    """Parked, each because its refund was refused."""
    brand, _people, abouts = await of_a_new_brand(renewal, how_many)
    for about in abouts:
        await renewal.consume("saga", about.priced(), about.captured(), about.top_up_rejected())
        await renewal.consume("saga", about.refund_rejected())
    return brand, abouts


async def states(renewal: Wired, abouts: list[About]) -> list[str]:
    return [(await shown(renewal, about))["state"] for about in abouts]


async def test_a_dry_run_counts_and_shows_and_does_nothing(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 3)
    await renewal.consume("saga", abouts[0].priced())
    made = await dry_run(Operator(renewal), brand)
    assert (made.status, made.body["state"]) == (201, "dry_run")
    assert (made.body["matched"], made.body["renewals"]) == (3, 3)
    assert made.body["by_state"] == {"priced": 1, "requested": 2}
    assert [one["renewal_id"] for one in made.body["sample"]] == [
        one["renewal_id"] for one in sorted(made.body["sample"], key=lambda one: one["place"])
    ]
    assert {one["renewal_id"] for one in made.body["sample"]} == {str(one.renewal_id) for one in abouts}
    assert sorted(await states(renewal, abouts)) == ["priced", "requested", "requested"]


async def test_one_operator_cancels_in_bulk_only_what_nobody_has_paid(renewal: Wired) -> None:
    """What is paid already is not counted in; what is paid before its turn comes is skipped, and counted."""
    brand, _people, abouts = await of_a_new_brand(renewal, 4)
    paid, parked, soon_paid, unpaid = abouts
    await renewal.consume("saga", paid.priced(), paid.captured())
    await renewal.consume("saga", parked.priced(), parked.captured(), parked.undetermined())
    ana = Operator(renewal)
    made = await dry_run(ana, brand)
    assert (made.body["matched"], made.body["renewals"]) == (4, 2)
    await renewal.consume("saga", soon_paid.priced(), soon_paid.captured())
    await start(ana, made)
    job = await ended(ana, made)
    assert (job["done"], job["moved"], job["refused"]) == (1, 1, 0)
    assert await states(renewal, abouts) == ["captured", "parked", "captured", "cancelling_payment"]
    assert len([one for one in renewal.said(CancelPayment) if one.renewal_id == unpaid.renewal_id]) == 1


async def test_only_those_whose_state_allows_the_action_are_counted_in(renewal: Wired) -> None:
    brand, abouts = await parked_ones(renewal, 2)
    [other] = (await of_a_new_brand(renewal, 1))[2]
    await renewal.pool.execute(
        "update subscriptions set brand = $1 where subscription_id = "
        "(select subscription_id from renewals where renewal_id = $2)",
        brand,
        other.renewal_id,
    )
    made = await dry_run(Operator(renewal), brand, "release", choice="refunded")
    assert (made.body["matched"], made.body["renewals"]) == (3, len(abouts))
    assert (await dry_run(Operator(renewal), brand, "release", choice="failed")).body["renewals"] == 0


async def test_those_about_which_authorities_contradict_each_other_are_judged_apart(renewal: Wired) -> None:
    """All else about them is alike."""
    brand, abouts = await hanging_ones(renewal, 2)
    contradicted = abouts[0]
    await renewal.consume("saga", contradicted.payment_cancelled())
    made = await dry_run(Operator(renewal), brand, "release", choice="failed")
    assert [one["renewal_id"] for one in made.body["sample"]] == [str(contradicted.renewal_id)]


async def test_a_started_job_acts_upon_each_once_and_audits_each(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 7)
    ana = Operator(renewal, "ana")
    made = await dry_run(ana, brand)
    assert (await start(ana, made)).status == 202
    job = await ended(ana, made)
    assert (job["state"], job["done"], job["moved"], job["refused"], job["left"]) == ("done", 7, 0, 0, 0)
    assert await states(renewal, abouts) == ["cancelling_payment"] * 7
    for about in abouts:
        assert len([one for one in renewal.said(CancelPayment) if one.renewal_id == about.renewal_id]) == 1
        [deed] = await ana.audit(about)
        assert (deed["operator"], deed["action"], deed["why"]) == ("ana", "cancel", WHY)
        assert (deed["job_id"], deed["after"]["state"]) == (made.body["job_id"], "cancelling_payment")
    deeds = (await ana.get(f"/v1/operator/audit?job_id={made.body['job_id']}")).body["items"]
    about_the_job = [deed["step"] for deed in deeds if deed["renewal_id"] is None]
    assert about_the_job == ["finished", "started", "proposed"]


async def test_what_has_moved_since_the_dry_run_is_left_alone(renewal: Wired) -> None:
    brand, abouts = await hanging_ones(renewal, 3)
    ana, ben = Operator(renewal, "ana"), Operator(renewal, "ben")
    made = await dry_run(ana, brand, "release", choice="refunded")
    seen = await shown(renewal, abouts[1])
    await ben.decide(abouts[1], "act", seen["version"], action="retry")
    await renewal.consume("saga", abouts[1].refund_rejected("account_closed", attempt=2))
    await start(ben, made)
    job = await ended(ana, made)
    assert (job["done"], job["moved"]) == (2, 1)
    assert await states(renewal, abouts) == ["refunded", "parked", "refunded"]
    moved = (await ana.get(f"/v1/operator/jobs/{made.body['job_id']}/renewals?result=moved")).body["items"]
    assert [one["renewal_id"] for one in moved] == [str(abouts[1].renewal_id)]


async def test_money_in_bulk_is_started_by_a_second_person_who_is_named_everywhere(renewal: Wired) -> None:
    brand, abouts = await parked_ones(renewal, 2)
    ana, ben = Operator(renewal, "ana"), Operator(renewal, "ben")
    made = await dry_run(ana, brand, "resolve", choice="applied")
    assert made.body["needs_second"]
    reply = await start(ana, made)
    assert (reply.status, reply.problem) == (403, "second-person-needed")
    assert "Possible for ana now: stop." in reply.body["detail"]

    assert (await start(ben, made)).status == 202
    assert (await ended(ana, made))["done"] == 2
    for about in abouts:
        [command] = [one for one in renewal.said(ResolveTopUp) if one.renewal_id == about.renewal_id]
        assert command.decided_by == "ana:ben"
        [deed] = await ana.audit(about)
        assert (deed["operator"], deed["step"]) == ("ben", "approved")
        assert (await shown(renewal, about))["history"][-1]["detail"] == f"by ana, approved by ben: {WHY}"


async def test_a_crash_in_the_middle_of_a_batch_leaves_nothing_half_done(renewal: Wired) -> None:
    brand, abouts = await parked_ones(renewal, 4)
    made = await dry_run(Operator(renewal, "ana"), brand, "release", choice="refunded")
    jobs = BulkJobs(renewal.transactions, POLICY)

    async def killed(transaction: Transaction) -> None:
        # Started within the transaction: the service's own loop does not see it.
        await transaction.connection.execute(
            "update bulk_jobs set state = 'running', started_by = 'ben', started_at = '2026-01-01', "
            "next_at = '2026-01-01' where job_id = $1",
            made.body["job_id"],
        )
        assert await jobs.go_on(transaction) == 4
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        await renewal.transactions.run(killed)
    assert await states(renewal, abouts) == ["parked"] * 4
    assert not [
        one for one in renewal.said(RenewalRefunded) if one.renewal_id in {a.renewal_id for a in abouts}
    ]
    assert await Operator(renewal).audit(abouts[0]) == []

    assert (await start(Operator(renewal, "ben"), made)).status == 202
    assert (await ended(Operator(renewal), made))["done"] == 4
    assert await states(renewal, abouts) == ["refunded"] * 4


async def test_a_job_that_a_dead_process_left_is_taken_up_where_it_was(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 5)
    made = await dry_run(Operator(renewal), brand)
    order = [one["renewal_id"] for one in made.body["sample"]]
    await renewal.pool.execute(
        "update bulk_jobs set state = 'running', reached = 2, done = 2, started_by = 'ana', "
        "started_at = now(), next_at = now() where job_id = $1",
        made.body["job_id"],
    )
    job = await ended(Operator(renewal), made)
    assert (job["done"], job["left"]) == (5, 0)
    by_id = {str(about.renewal_id): about for about in abouts}
    assert (
        await states(renewal, [by_id[one] for one in order]) == ["requested"] * 2 + ["cancelling_payment"] * 3
    )


async def test_a_running_job_keeps_its_rate_and_can_be_stopped_for_good(renewal: Wired) -> None:
    brand, _people, abouts = await of_a_new_brand(renewal, 4)
    ana, ben = Operator(renewal, "ana"), Operator(renewal, "ben")
    made = await dry_run(ana, brand, per_second=0.1)
    await start(ana, made)
    deadline = time.monotonic() + SECONDS
    path = f"/v1/operator/jobs/{made.body['job_id']}"
    while (running := (await ana.get(path)).body)["done"] == 0:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert (running["state"], running["done"], running["left"]) == ("running", 1, 3)
    assert running["seconds_left"] == 30
    stopped = await ben.post(f"{path}/stop", why="it is the wrong carrier")
    assert (stopped.status, stopped.body["state"], stopped.body["ended_by"]) == (200, "stopped", "ben")
    assert sorted(await states(renewal, abouts)) == ["cancelling_payment", *["requested"] * 3]
    again = await ben.post(f"{path}/stop", why="it is the wrong carrier")
    assert (again.status, again.problem) == (409, "bulk-not-stoppable")
    reply = await start(ana, made)
    assert (reply.status, reply.problem) == (409, "bulk-not-startable")
    assert "Make a new one for what is left." in reply.body["detail"]


async def test_a_slow_job_that_was_started_first_holds_up_no_other(renewal: Wired) -> None:
    slow_brand, _people, _abouts = await of_a_new_brand(renewal, 3)
    brand, _people, abouts = await of_a_new_brand(renewal, 3)
    ana = Operator(renewal)
    slow, quick = await dry_run(ana, slow_brand, per_second=0.1), await dry_run(ana, brand)
    await start(ana, slow)
    await start(ana, quick)
    job = await ended(ana, quick)
    assert (job["state"], job["done"]) == ("done", 3)
    assert await states(renewal, abouts) == ["cancelling_payment"] * 3
    path = f"/v1/operator/jobs/{slow.body['job_id']}"
    assert (await ana.post(f"{path}/stop", why=WHY)).body["left"] > 0


async def test_of_several_that_are_due_it_is_the_turn_of_the_one_that_has_waited_longest(
    renewal: Wired,
) -> None:
    jobs, made = BulkJobs(renewal.transactions, POLICY), []
    for _ in range(2):
        brand, _people, _abouts = await of_a_new_brand(renewal, 20)
        made.append((await dry_run(Operator(renewal), brand)).body["job_id"])
    async with renewal.transactions.begin() as transaction:
        for started, job_id in enumerate(made, 1):
            # The one that was started last has been due longest.
            await transaction.connection.execute(
                "update bulk_jobs set state = 'running', started_by = 'ana', "
                "started_at = '2026-01-01'::timestamptz + $2 * interval '1 day', "
                "next_at = '2026-02-01'::timestamptz - $2 * interval '1 day' where job_id = $1",
                job_id,
                started,
            )
        await jobs.go_on(transaction)
        await jobs.go_on(transaction)
        reached = [
            await transaction.connection.fetchval("select reached from bulk_jobs where job_id = $1", job_id)
            for job_id in made
        ]
        assert reached == [12, 12], "each had its turn, whichever was started first"
        await transaction.connection.execute(
            "update bulk_jobs set state = 'stopped' where job_id = any($1)", made
        )


async def test_two_processes_work_on_one_job_at_a_time(renewal: Wired) -> None:
    brand, _people, _abouts = await of_a_new_brand(renewal, 2)
    made = await dry_run(Operator(renewal), brand)
    jobs = BulkJobs(renewal.transactions, POLICY)
    running = (
        "update bulk_jobs set state = 'running', started_by = 'ana', started_at = '2026-01-01', "
        "next_at = '2026-01-01' where job_id = $1"
    )
    async with renewal.transactions.begin() as first:
        await first.connection.execute(running, made.body["job_id"])
        await jobs.go_on(first)
        async with renewal.transactions.begin() as second:
            assert await jobs.go_on(second) == 0


async def test_a_start_that_has_seen_another_number_is_refused(renewal: Wired) -> None:
    brand, _people, _abouts = await of_a_new_brand(renewal, 2)
    made = await dry_run(Operator(renewal), brand)
    reply = await start(Operator(renewal), made, 3)
    assert (reply.status, reply.problem, reply.body["renewals"]) == (409, "bulk-count-differs", 2)
    nobody = await dry_run(Operator(renewal), f"{brand}-of-nobody")
    assert (await start(Operator(renewal), nobody)).problem == "bulk-empty"


async def test_a_dry_run_that_is_too_old_is_refused(renewal: Wired) -> None:
    brand, _people, _abouts = await of_a_new_brand(renewal, 1)
    made = await dry_run(Operator(renewal), brand)
    await renewal.pool.execute(
        "update bulk_jobs set expires_at = now() - interval '1 second' where job_id = $1", made.body["job_id"]
    )
    reply = await start(Operator(renewal), made)
    assert (reply.status, reply.problem, reply.body["state"]) == (409, "bulk-not-startable", "expired")


@pytest.mark.parametrize(
    ("different", "problem", "words"),
    [
        (
            {"filter": {"colour": "red"}},
            "invalid-request",
            "there is no filter colour; there are: state, brand",
        ),
        ({"filter": {}}, "invalid-request", "name one of state, brand"),
        ({"filter": {"state": ["completed"]}}, "invalid-request", "'requested'"),
        ({"filter": {"state": ["parked", "failed"]}}, "invalid-request", "for their `case` only"),
        ({"filter": {"case": "lost"}}, "invalid-request", "'refund_returned'"),
        ({"action": "refound"}, "invalid-request", "'refund'"),
        ({"per_second": 51}, "invalid-request", "50"),
        ({"per_second": 0.09}, "invalid-request", "0.1"),
        ({"per_second": 1e-300}, "invalid-request", "0.1"),
        ({"why": ""}, "invalid-request", "3 characters"),
        ({"action": "resolve"}, "choice-not-allowed", "applied, not_applied"),
        ({"action": "resolve", "choice": "failed"}, "choice-not-allowed", "applied, not_applied"),
        ({"action": "retry", "choice": "applied"}, "choice-not-allowed", "no choice"),
    ],
)
async def test_a_job_that_cannot_be_is_refused_with_what_can(
    renewal: Wired, different: dict[str, Any], problem: str, words: str
) -> None:
    reply = await dry_run(Operator(renewal), "ola", **different)
    assert (reply.status, reply.problem) == (422, problem)
    assert words in str(reply.body)


@pytest.mark.parametrize("what", ["", "/renewals", "/start", "/stop"])
async def test_a_job_that_nobody_knows_is_not_found(renewal: Wired, what: str) -> None:
    path = f"/v1/operator/jobs/01234567-89ab-7def-8123-456789abcdef{what}"
    ana = Operator(renewal)
    body = {"why": WHY, "renewals": 1} if what == "/start" else {"why": WHY}
    reply = await (ana.post(path, **body) if what in ("/start", "/stop") else ana.get(path))
    assert (reply.status, reply.problem) == (404, "job-not-found")


async def test_a_filter_that_takes_too_many_is_refused_with_the_bound(renewal: Wired) -> None:
    brand, _people, _abouts = await of_a_new_brand(renewal, 3)
    gate = Gate(Tokens(None, utc_now))
    routes = BulkRoutes(renewal.transactions, POLICY, gate, most=2, jobs_live=timedelta(hours=1))
    body = NewJob.model_validate({"action": "retry", "why": WHY, "filter": {"brand": brand}})
    with pytest.raises(Problem, match="More than 2 open renewals match") as refused:
        await routes.make(body, Who("ana", "operator"), Response())
    assert (refused.value.status, refused.value.type) == (422, "too-many-renewals")


async def test_a_dry_run_counts_only_those_to_whom_the_action_would_do_something(renewal: Wired) -> None:
    brand, abouts = await parked_ones(renewal, 3)
    await renewal.consume("saga", abouts[0].top_up_rejected(), abouts[1].top_up_rejected())
    await renewal.consume("saga", abouts[0].refund_rejected())
    assert await states(renewal, abouts) == ["parked", "refunding", "parked"]
    made = await dry_run(Operator(renewal), brand, "resolve", choice="applied")
    assert (made.body["matched"], made.body["renewals"]) == (3, 1)
    assert [one["renewal_id"] for one in made.body["sample"]] == [str(abouts[2].renewal_id)]


async def test_the_jobs_are_listed_newest_first(renewal: Wired) -> None:
    ana = Operator(renewal)
    made = [(await dry_run(ana, f"nobody-{n}")).body["job_id"] for n in range(3)]
    first = (await ana.get("/v1/operator/jobs?limit=2")).body
    rest = (await ana.get(f"/v1/operator/jobs?limit=2&cursor={first['next_cursor']}")).body
    assert [one["job_id"] for one in (*first["items"], *rest["items"])][:3] == made[::-1]
