"""What was told to wait and is over is told so: no decision waits for a try that never comes."""

from datetime import timedelta
from typing import Any

import pytest

from shared.clock import utc_now
from shared.contracts.quotas import QuotaThresholdReached
from tests.integration.renewal.conftest import Subscriber
from tests.integration.renewal.test_dunning import declined
from tests.integration.renewal.test_questions import asked
from tests.integration.renewal.test_rules import completed, decisions, look, requested, ruled, set_rule
from tests.integration.wired import Wired

BOTH = {"triggers": ["exhausted", "threshold"]}


def low(one: Subscriber, cycle: int = 0) -> QuotaThresholdReached:
    return QuotaThresholdReached(
        subscription_id=one.subscription_id,
        cycle=cycle,
        remaining_bytes=1,
        occurred_at=utc_now(),
        threshold_bytes=9,
    )


async def switch(renewal: Wired, one: Subscriber, way: str) -> None:
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule/{way}"
    assert (await renewal.request("POST", path, {"why": "Travelling."})).status == 200


async def told(renewal: Wired, one: Subscriber) -> dict[tuple[int, str], tuple[str, str | None]]:
    """By cycle and kind: what was decided, and why."""
    return {
        (each["cycle"], each["trigger"]): (each["outcome"], each["reason"])
        for each in await decisions(renewal, one)
    }


async def test_what_a_later_cycles_trigger_takes_the_place_of_is_told_to_be_over(renewal: Wired) -> None:
    one = await ruled(renewal)
    await switch(renewal, one, "pause")
    await renewal.consume("admission", one.exhausted(0))
    assert await told(renewal, one) == {(0, "exhausted"): ("waiting", "rule_paused")}
    await renewal.consume("admission", one.exhausted(1))
    assert await told(renewal, one) == {
        (1, "exhausted"): ("waiting", "rule_paused"),
        (0, "exhausted"): ("refused", "cycle_over"),
    }
    assert all(each["next_try_at"] is None for each in await decisions(renewal, one))


async def test_of_two_cycles_in_one_batch_the_newest_alone_waits(renewal: Wired) -> None:
    one = await ruled(renewal)
    await switch(renewal, one, "pause")
    await renewal.consume("admission", one.exhausted(1), one.exhausted(0))
    over = {(1, "exhausted"): ("waiting", "rule_paused"), (0, "exhausted"): ("refused", "cycle_over")}
    assert await told(renewal, one) == over


async def test_a_trigger_that_comes_after_one_of_a_later_cycle_does_not_wait(renewal: Wired) -> None:
    one = await ruled(renewal)
    await switch(renewal, one, "pause")
    await renewal.consume("admission", one.exhausted(1))
    await renewal.consume("admission", one.exhausted(0))
    assert (await told(renewal, one))[0, "exhausted"] == ("refused", "cycle_over")


@pytest.mark.parametrize("first", ["exhausted", "threshold"])
async def test_all_kinds_of_a_cycle_that_wait_are_told_what_the_kept_one_leads_to(
    renewal: Wired, first: str
) -> None:
    one = await ruled(renewal, **BOTH)
    await switch(renewal, one, "pause")
    messages: list[Any] = [one.exhausted(), low(one)]
    for message in messages if first == "exhausted" else reversed(messages):
        await renewal.consume("admission", message)
    assert set((await told(renewal, one)).values()) == {("waiting", "rule_paused")}
    await switch(renewal, one, "resume")
    [said] = requested(renewal, one)
    found = await decisions(renewal, one)
    assert {each["trigger"]: each["outcome"] for each in found} == {
        first: "renewed",
        ({"exhausted", "threshold"} - {first}).pop(): "joined",
    }
    assert {each["renewal_id"] for each in found} == {str(said.renewal_id)}
    await declined(renewal, one, "hard")
    ended = [each for each in await decisions(renewal, one) if each["dunning_try"] == 1]
    assert [(each["outcome"], each["reason"]) for each in ended] == [("refused", "declined")] * 2


async def test_that_another_kind_is_not_meant_leaves_what_waits_as_it_is(renewal: Wired) -> None:
    one = await ruled(renewal)
    await switch(renewal, one, "pause")
    await renewal.consume("admission", one.exhausted())
    await renewal.consume("admission", low(one))
    assert await told(renewal, one) == {
        (0, "exhausted"): ("waiting", "rule_paused"),
        (0, "threshold"): ("not_meant", "trigger_not_wanted"),
    }


async def test_the_next_try_of_a_failed_one_is_not_shown_once_the_data_was_topped_up(renewal: Wired) -> None:
    one = await ruled(renewal)
    await renewal.consume("admission", one.exhausted(0))
    await declined(renewal, one, "soft")
    first, second = reversed(await decisions(renewal, one))
    assert first["next_try_at"] is not None
    assert first["next_try_at"] == second["next_try_at"]
    await renewal.consume("projections", one.subscription(2, top_ups=1))
    await completed(renewal, one, 1)
    assert [each["next_try_at"] for each in await decisions(renewal, one)] == [None, None, None]
    assert (await told(renewal, one))[0, "exhausted"] != ("waiting", "dunning")


async def test_nothing_waits_for_a_subscription_that_is_terminated(renewal: Wired) -> None:
    paused, in_question = await ruled(renewal), await asked(renewal)
    await switch(renewal, paused, "pause")
    await renewal.consume("admission", paused.exhausted())
    for one, version in ((paused, 2), (in_question, 2)):
        await renewal.consume("projections", one.subscription(version, status="terminated"))
    await look(renewal, timedelta())
    assert (await told(renewal, paused))[0, "exhausted"] == ("refused", "status_not_eligible")
    assert {outcome for outcome, _ in (await told(renewal, in_question)).values()} <= {"asked", "refused"}
    kept = "select count(*) from kept_triggers where subscription_id = any($1)"
    assert await renewal.pool.fetchval(kept, [paused.subscription_id, in_question.subscription_id]) == 0


async def test_what_waits_for_a_subscription_that_goes_on_is_left_alone(renewal: Wired) -> None:
    one = await ruled(renewal)
    await switch(renewal, one, "pause")
    await renewal.consume("admission", one.exhausted())
    await renewal.consume("projections", one.subscription(2, status="suspended"))
    await look(renewal, timedelta())
    assert await told(renewal, one) == {(0, "exhausted"): ("waiting", "rule_paused")}
    assert (await set_rule(renewal, one)).status == 200
