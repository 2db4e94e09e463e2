"""What is closed and still waits for a person is settled in bulk as it is one by one: by two, as seen."""

from typing import Any

from services.renewal.operators import bulk_store
from shared.contracts.payment_commands import ResolvePayment
from tests.integration.renewal.conftest import About
from tests.integration.renewal.operating import Operator, of_a_new_brand, shown
from tests.integration.renewal.test_operator_bulk import dry_run, ended, start
from tests.integration.renewal.test_operator_cases import unlearned
from tests.integration.renewal.test_operator_cli import told
from tests.integration.wired import Reply, Wired


async def unlearned_ones(renewal: Wired, how_many: int) -> tuple[str, list[About]]:
    """Closed as failed, while nobody knows whether money was taken; beside them one that simply failed."""
    brand, _people, abouts = await of_a_new_brand(renewal, how_many + 1)
    *without_answer, declined = abouts
    for about in without_answer:
        await renewal.consume("saga", about.priced(), unlearned(about))
    await renewal.consume("saga", declined.priced(), declined.payment_cancelled())
    return brand, without_answer


async def returned_ones(renewal: Wired, how_many: int) -> tuple[str, list[About]]:
    """Closed as refunded, and the refund came back."""
    brand, _people, abouts = await of_a_new_brand(renewal, how_many)
    for about in abouts:
        await renewal.consume("saga", about.priced(), about.captured(), about.top_up_rejected())
        await renewal.consume("saga", about.refunded(), about.refund_rejected())
    return brand, abouts


async def by_case(brand: str, case: str, action: str, choice: str, renewal: Wired) -> Reply:
    """The dry-run that ana makes."""
    filtered = {"brand": brand, "case": case}
    return await dry_run(Operator(renewal, "ana"), brand, action, choice=choice, filter=filtered)


async def cases(renewal: Wired, brand: str, case: str) -> list[dict[str, Any]]:
    path = f"/v1/operator/renewals?case={case}&brand={brand}"
    items: list[dict[str, Any]] = (await Operator(renewal).get(path)).body["items"]
    return items


def targets(made: Reply) -> set[str]:
    return {one["renewal_id"] for one in made.body["sample"]}


def ids(abouts: list[About]) -> set[str]:
    return {str(about.renewal_id) for about in abouts}


async def test_payments_that_could_not_be_learned_are_resolved_in_bulk_though_closed(renewal: Wired) -> None:
    brand, abouts = await unlearned_ones(renewal, 3)
    made = await by_case(brand, "unresolved", "resolve", "not_captured", renewal)
    assert (made.status, made.body["matched"], made.body["renewals"]) == (201, 3, 3)
    assert (targets(made), made.body["by_state"]) == (ids(abouts), {"failed": 3})
    assert made.body["needs_second"]
    assert (await start(Operator(renewal, "ana"), made)).problem == "second-person-needed"
    assert (await start(Operator(renewal, "ben"), made)).status == 202
    job = await ended(Operator(renewal), made)
    assert (job["done"], job["moved"], job["refused"]) == (3, 0, 0)
    for about in abouts:
        [command] = [one for one in renewal.said(ResolvePayment) if one.renewal_id == about.renewal_id]
        assert (command.decision, command.decided_by) == ("not_captured", "ana:ben")
        [deed] = await Operator(renewal).audit(about)
        assert (deed["operator"], deed["step"], deed["job_id"]) == ("ben", "approved", made.body["job_id"])
        assert deed["before"]["version"] < deed["after"]["version"]


async def test_refunds_that_came_back_are_settled_in_bulk_as_they_ended(renewal: Wired) -> None:
    brand, abouts = await returned_ones(renewal, 2)
    nothing = await by_case(brand, "refund_returned", "release", "failed", renewal)
    assert (nothing.body["matched"], nothing.body["renewals"]) == (2, 0)
    made = await by_case(brand, "refund_returned", "release", "refunded", renewal)
    await start(Operator(renewal, "ben"), made)
    assert (await ended(Operator(renewal), made))["done"] == 2
    assert await cases(renewal, brand, "refund_returned") == []
    assert [(await shown(renewal, about))["state"] for about in abouts] == ["refunded", "refunded"]


async def test_a_case_that_got_another_version_since_the_dry_run_is_left_to_be_looked_at(
    renewal: Wired,
) -> None:
    brand, abouts = await returned_ones(renewal, 2)
    made = await by_case(brand, "refund_returned", "release", "refunded", renewal)
    # Applied after all: now two authorities contradict each other, too.
    await renewal.consume("saga", abouts[0].applied())
    await start(Operator(renewal, "ben"), made)
    job = await ended(Operator(renewal), made)
    assert (job["done"], job["moved"]) == (1, 1)
    left = await cases(renewal, brand, "refund_returned")
    assert [one["renewal_id"] for one in left] == [str(abouts[0].renewal_id)]


async def test_what_has_another_case_besides_is_not_settled_with_the_rest(renewal: Wired) -> None:
    """A release settles all cases of a closed renewal, and the dry-run was about one of them."""
    brand, abouts = await returned_ones(renewal, 2)
    await renewal.consume("saga", abouts[0].applied())
    [both] = [one for one in await cases(renewal, brand, "refund_returned") if len(one["cases"]) == 2]
    assert both["renewal_id"] == str(abouts[0].renewal_id)
    made = await by_case(brand, "refund_returned", "release", both["state"], renewal)
    assert (made.body["matched"], targets(made)) == (2, ids(abouts[1:]))


async def test_a_case_takes_open_and_closed_ones_and_a_state_narrows_it(renewal: Wired) -> None:
    brand, _people, [parked, closed] = await of_a_new_brand(renewal, 2)
    await renewal.consume("saga", parked.priced(), parked.captured(), parked.undetermined())
    await renewal.consume("saga", parked.payment_cancelled())
    await renewal.consume("saga", closed.priced(), closed.payment_cancelled(), closed.captured())
    found = {one["state"]: one["cases"] for one in await cases(renewal, brand, "promise_broken")}
    assert found == {"parked": ["promise_broken"], "failed": ["promise_broken"]}
    made = await by_case(brand, "promise_broken", "release", "failed", renewal)
    assert made.body["by_state"] == {"failed": 1, "parked": 1}
    filtered = {"brand": brand, "case": "promise_broken", "state": ["failed"]}
    narrowed = await dry_run(Operator(renewal), brand, "release", choice="failed", filter=filtered)
    assert targets(narrowed) == {str(closed.renewal_id)}


async def test_cases_for_a_job_are_read_from_their_index(renewal: Wired) -> None:
    async with renewal.pool.acquire() as connection, connection.transaction():
        await connection.execute("set local enable_seqscan = off")
        values = [None, None, None, None, None, None, 50, "unresolved", None]
        lines = await connection.fetch(f"explain {bulk_store.SQL['match_cases']}", *values)
    assert "renewals_with_a_case" in "\n".join(line[0] for line in lines)


async def test_the_command_line_makes_a_job_of_a_case(renewal: Wired) -> None:
    brand, _abouts = await unlearned_ones(renewal, 2)
    words = ("--case", "unresolved", "--brand", brand, "--why", "asked the PSP, ticket 12")
    made = await told(renewal, "bulk", "make", "resolve", "--choice", "not_captured", *words)
    assert "2 match, 2 can be acted upon: 2 failed." in made
    assert "Somebody else starts it" in made
