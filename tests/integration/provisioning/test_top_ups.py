"""Top-ups from the instruction to the answer: on a carrier that behaves, refuses, fails and keeps silent."""

from typing import TypeVar
from uuid import UUID, uuid4

from services.provisioning.topups.domain.attempt import idempotency_key
from shared.contracts.topups import (
    TopUpApplied,
    TopUpAttemptFailed,
    TopUpCancelled,
    TopUpRejected,
    TopUpUndetermined,
)
from tests.integration.provisioning.conftest import Carrier, Subscribe, Subscriber
from tests.integration.sandboxed import until
from tests.integration.wired import Wired

Answer = TypeVar("Answer", TopUpApplied, TopUpAttemptFailed, TopUpCancelled, TopUpRejected, TopUpUndetermined)
TOP_UPS = "top-ups"
FINAL = (TopUpApplied, TopUpRejected, TopUpCancelled)


def said(provisioning: Wired, kind: type[Answer], renewal_id: UUID) -> list[Answer]:
    return [message for message in provisioning.said(kind) if message.renewal_id == renewal_id]


async def hear(provisioning: Wired, kind: type[Answer], renewal_id: UUID) -> Answer:
    """The first such answer about the renewal."""
    found: list[Answer] = await until(lambda: said(provisioning, kind, renewal_id))
    return found[0]


def final_answers(provisioning: Wired, renewal_id: UUID) -> set[str]:
    return {
        f"{type(message).__name__} v{message.version}"
        for kind in FINAL
        for message in provisioning.said(kind)
        if message.renewal_id == renewal_id
    }


async def test_a_captured_payment_is_answered_by_an_applied_top_up(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured)

    applied = await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert (applied.cycle, applied.attempt, applied.grant) == (1, 1, captured.grant)
    assert applied.expires_at > applied.applied_at
    assert carrier.effects(captured.renewal_id) == ["applied"]

    shown = await provisioning.request("GET", f"/v1/top-ups/{captured.renewal_id}")
    assert (shown.body["state"], shown.body["cycle"]) == ("applied", 1)
    assert [(one["operation"], one["status"]) for one in shown.body["attempts"]] == [("apply", "applied")]


async def test_the_same_instruction_again_repeats_the_answer_and_applies_nothing(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured, captured, subscriber.apply(captured, 1))
    first = await hear(provisioning, TopUpApplied, captured.renewal_id)

    await provisioning.consume(TOP_UPS, captured, subscriber.apply(captured, 1))

    await until(lambda: len(said(provisioning, TopUpApplied, captured.renewal_id)) == 2)
    assert said(provisioning, TopUpApplied, captured.renewal_id) == [first, first]
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_a_refusal_is_called_off_at_the_carrier_before_it_is_final(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe("10")).captured()
    await provisioning.consume(TOP_UPS, captured)

    rejected = await hear(provisioning, TopUpRejected, captured.renewal_id)
    assert rejected.reason == "profile_not_eligible"
    assert carrier.effects(captured.renewal_id) == ["topup_cancelled"]


async def test_a_carrier_that_refuses_and_would_apply_later_cannot(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe("72")).captured()
    await provisioning.consume(TOP_UPS, captured)

    await hear(provisioning, TopUpRejected, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["topup_cancelled"]
    topups = carrier.server.call("GET", f"/v1/topups?reference={captured.renewal_id}").document["data"]
    assert [topup["status"] for topup in topups] == ["cancelled"]


async def test_an_answer_lost_after_the_effect_is_learned_without_a_second_effect(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    for behaviour in ("32", "34", "22", "50", "52"):
        captured = (await subscribe(behaviour)).captured()
        await provisioning.consume(TOP_UPS, captured)

        await hear(provisioning, TopUpApplied, captured.renewal_id)
        assert carrier.effects(captured.renewal_id) == ["applied"], behaviour
        assert len(carrier.keys(captured.renewal_id)) == 1, behaviour


async def test_a_carrier_without_keys_is_asked_instead_of_told_again(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe("32", carrier="keyless")).captured()
    await provisioning.consume(TOP_UPS, captured)

    await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_a_carrier_that_can_neither_repeat_nor_be_asked_leaves_it_undetermined_until_resolved(
    provisioning: Wired, subscribe: Subscribe
) -> None:
    subscriber = await subscribe("32", carrier="mute")
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured)
    await hear(provisioning, TopUpUndetermined, captured.renewal_id)

    await provisioning.consume(TOP_UPS, subscriber.resolve(captured.renewal_id, applied=True))

    applied = await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert applied.cycle == 1
    assert final_answers(provisioning, captured.renewal_id) == {f"TopUpApplied v{applied.version}"}


async def test_a_carrier_out_of_order_fails_the_attempt_once_nothing_is_found_there(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe("20")
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured)

    failed = await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)
    assert (failed.attempt, failed.reached_provider) == (1, True)

    # The same key again: should the carrier have had it after all, it is still one top-up.
    await provisioning.consume(TOP_UPS, subscriber.apply(captured, 2))
    await until(lambda: len(said(provisioning, TopUpAttemptFailed, captured.renewal_id)) == 2)
    assert [one.attempt for one in said(provisioning, TopUpAttemptFailed, captured.renewal_id)] == [1, 2]
    assert len(carrier.keys(captured.renewal_id)) == 1
    assert carrier.effects(captured.renewal_id) == []


async def test_a_carrier_that_limits_the_rate_costs_no_attempt_and_the_next_one_has_a_new_key(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe("61")
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured)
    failed = await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)
    assert (failed.reached_provider, failed.retry_after_seconds, failed.reason) == (False, 1, "rate_limited")

    await provisioning.consume(TOP_UPS, subscriber.apply(captured, 2))

    applied = await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert applied.attempt == 2
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_a_top_up_that_takes_its_time_is_asked_about_until_it_is_done(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    captured = (await subscribe("70")).captured()
    await provisioning.consume(TOP_UPS, captured)

    await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_a_top_up_that_comes_to_nothing_at_the_carrier_may_be_tried_again(
    provisioning: Wired, subscribe: Subscribe
) -> None:
    captured = (await subscribe("71")).captured()
    await provisioning.consume(TOP_UPS, captured)

    failed = await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)
    assert failed.reason == "carrier_failed"


async def test_an_unknown_subscription_is_rejected_and_the_carrier_is_not_asked(
    provisioning: Wired, carrier: Carrier
) -> None:
    captured = Subscriber("sub-nobody", "").captured()
    await provisioning.consume(TOP_UPS, captured)

    rejected = await hear(provisioning, TopUpRejected, captured.renewal_id)
    assert rejected.reason == "subscription_unknown"
    assert carrier.keys(captured.renewal_id) == set()


async def test_a_late_instruction_is_held_until_a_timely_one_comes(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured(late=True)
    await provisioning.consume(TOP_UPS, captured)
    shown = await provisioning.request("GET", f"/v1/top-ups/{captured.renewal_id}")
    assert shown.body["state"] == "held"
    assert carrier.keys(captured.renewal_id) == set()

    await provisioning.consume(TOP_UPS, subscriber.apply(captured, 1))

    await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_a_cancellation_that_comes_first_leaves_a_tombstone(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    renewal_id = uuid4()
    await provisioning.consume(TOP_UPS, subscriber.cancel(renewal_id))
    first = await hear(provisioning, TopUpCancelled, renewal_id)

    await provisioning.consume(TOP_UPS, subscriber.captured(renewal_id))

    await until(lambda: len(said(provisioning, TopUpCancelled, renewal_id)) == 2)
    assert said(provisioning, TopUpCancelled, renewal_id) == [first, first]
    assert carrier.keys(renewal_id) == set()


async def test_a_cancellation_in_the_same_batch_as_the_payment_sends_nothing(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured, subscriber.cancel(captured.renewal_id))

    await hear(provisioning, TopUpCancelled, captured.renewal_id)
    assert carrier.keys(captured.renewal_id) == set()


async def test_cancelling_never_reverses_what_is_applied(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured)
    first = await hear(provisioning, TopUpApplied, captured.renewal_id)

    await provisioning.consume(TOP_UPS, subscriber.cancel(captured.renewal_id))

    await until(lambda: len(said(provisioning, TopUpApplied, captured.renewal_id)) == 2)
    assert said(provisioning, TopUpApplied, captured.renewal_id) == [first, first]
    assert final_answers(provisioning, captured.renewal_id) == {f"TopUpApplied v{first.version}"}
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_cancelling_while_it_is_on_its_way_is_settled_by_the_carrier(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe("70")
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured)
    await until(lambda: carrier.keys(captured.renewal_id))

    await provisioning.consume(TOP_UPS, subscriber.cancel(captured.renewal_id))

    await hear(provisioning, TopUpCancelled, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["topup_cancelled"]
    assert len(final_answers(provisioning, captured.renewal_id)) == 1


async def test_cancelling_while_a_second_attempt_is_on_its_way_is_settled_by_the_carrier(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    carrier.fault("apply_topup", "rate_limited")
    await provisioning.consume(TOP_UPS, captured)
    await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)
    carrier.fault("apply_topup", "processing", seconds=60)
    # What cancels another renewal needs no call: so there is room to claim the second attempt at once.
    await provisioning.consume(TOP_UPS, subscriber.cancel(uuid4()), subscriber.apply(captured, 2))
    second = str(idempotency_key(captured.renewal_id, "apply", 2))
    await until(lambda: second in carrier.keys(captured.renewal_id))

    await provisioning.consume(TOP_UPS, subscriber.cancel(captured.renewal_id))

    await hear(provisioning, TopUpCancelled, captured.renewal_id)
    assert carrier.effects(captured.renewal_id) == ["topup_cancelled"]


async def test_a_second_attempt_that_fails_is_told_like_the_first(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    captured = subscriber.captured()
    carrier.fault("apply_topup", "rate_limited")
    await provisioning.consume(TOP_UPS, captured)
    await hear(provisioning, TopUpAttemptFailed, captured.renewal_id)

    await provisioning.consume(TOP_UPS, subscriber.cancel(uuid4()), subscriber.apply(captured, 2))

    await until(lambda: len(said(provisioning, TopUpAttemptFailed, captured.renewal_id)) == 2)
    assert said(provisioning, TopUpAttemptFailed, captured.renewal_id)[1].attempt == 2


async def test_cancelling_what_was_applied_unheard_of_brings_the_good_news(
    provisioning: Wired, carrier: Carrier, subscribe: Subscribe
) -> None:
    subscriber = await subscribe("34")
    captured = subscriber.captured()
    await provisioning.consume(TOP_UPS, captured)
    await until(lambda: carrier.effects(captured.renewal_id))

    await provisioning.consume(TOP_UPS, subscriber.cancel(captured.renewal_id))

    applied = await hear(provisioning, TopUpApplied, captured.renewal_id)
    assert final_answers(provisioning, captured.renewal_id) == {f"TopUpApplied v{applied.version}"}
    assert carrier.effects(captured.renewal_id) == ["applied"]


async def test_a_late_cancellation_of_nothing_leaves_nothing(
    provisioning: Wired, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    renewal_id = uuid4()
    await provisioning.consume(TOP_UPS, subscriber.cancel(renewal_id, late=True))

    shown = await provisioning.request("GET", f"/v1/top-ups/{renewal_id}")
    assert (shown.status, shown.problem) == (404, "top-up-not-found")
