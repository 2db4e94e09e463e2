"""Replies by text message on real servers: once, by whom they say, and only what was agreed to.

Longer than others: every way that a reply can go is told over one signed webhook, by the same few helpers.
"""

import asyncio
import hashlib
import hmac
import json
import time
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from services.renewal import archive
from services.renewal.domain.policy import POLICY
from services.renewal.text_messages.domain.agreement import caller_of
from services.renewal.text_messages.replies import REMEMBERED, STOPPED, Incoming, OldReplies, Replies
from shared.clock import utc_now
from shared.contracts.renewal_rules import RenewalRuleChanged
from shared.messaging.transaction import Transaction
from tests.integration.archived import places, walk
from tests.integration.at_once import Work, at_once
from tests.integration.renewal.conftest import (
    PRICE,
    TEXT_GATEWAY,
    TEXT_SECRET,
    About,
    Subscriber,
    known,
    row,
    someone,
)
from tests.integration.renewal.test_acceptance import payer, put
from tests.integration.renewal.test_dunning import declined
from tests.integration.renewal.test_reviews import decide
from tests.integration.renewal.test_rules import decisions, record, requested, set_rule
from tests.integration.wired import Reply, Wired

PORT = f"/v1/text-messages/{TEXT_GATEWAY}"
GATEWAY_NAME = caller_of(TEXT_GATEWAY)
_messages = count(1)


def number_of(one: Subscriber) -> str:
    return f"+5351{one.number:07d}"


async def reachable(renewal: Wired, **different: Any) -> Subscriber:
    """Somebody with a number and a rule."""
    [one] = await known(renewal)
    await renewal.consume("projections", one.subscription(2, msisdn=number_of(one)))
    reply = await set_rule(renewal, one, **different)
    assert reply.status == 200, reply
    return one


def message(one: Subscriber, text: str = "1", **different: Any) -> dict[str, Any]:
    said = {"message_id": f"m-{next(_messages)}", "sender": number_of(one), "text": text}
    return said | different


def signed(body: dict[str, Any], *, secret: str = TEXT_SECRET, age_seconds: int = 0) -> dict[str, str]:
    at = int(time.time()) - age_seconds
    digest = hmac.new(secret.encode(), f"{at}.{json.dumps(body)}".encode(), hashlib.sha256)
    return {"recarga-signature": f"t={at},v1={digest.hexdigest()}"}


async def bring(renewal: Wired, body: dict[str, Any], **how: Any) -> Reply:
    return await renewal.request("POST", PORT, body, headers=signed(body, **how))


async def outcome(renewal: Wired, one: Subscriber, text: str = "1") -> tuple[str, str | None]:
    reply = await bring(renewal, message(one, text))
    assert reply.status == 200, reply
    return reply.body["outcome"], reply.body["reason"]


async def kept(renewal: Wired, one: Subscriber, query: str = "") -> list[dict[str, Any]]:
    reply = await renewal.request("GET", f"/v1/subscriptions/{one.subscription_id}/text-messages{query}")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.body["items"]
    return found


async def paused_by(renewal: Wired, one: Subscriber) -> str | None:
    reply = await renewal.request("GET", f"/v1/subscriptions/{one.subscription_id}/renewal-rule")
    return None if reply.body["paused"] is None else str(reply.body["paused"]["by"])


async def switch(renewal: Wired, one: Subscriber, way: str, why: str) -> tuple[str | None, str | None]:
    """Pause or resume; by whom it is paused then, and since when the subscriber has opted out."""
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule/{way}"
    reply = await renewal.request("POST", path, {"why": why}, headers={"recarga-caller": "olga"})
    assert reply.status == 200, reply
    paused, opted_out = reply.body["paused"], reply.body["opted_out"]
    return paused and paused["by"], opted_out and opted_out["by"]


# -- who may bring what ---------------------------------------------------------------------------------


async def test_a_reply_renews_as_its_rule_says_and_as_a_person(renewal: Wired) -> None:
    one = await reachable(renewal)
    reply = await bring(renewal, message(one, " 1 "))

    assert (reply.status, reply.body["outcome"], reply.body["reason"]) == (200, "renewing", None)
    [said] = requested(renewal, one)
    assert str(said.renewal_id) == reply.body["renewal_id"]
    assert (said.terms.origin, said.terms.max_amount_minor, said.terms.currency) == ("customer", 950, "USD")
    assert (said.terms.payment_method_ids, said.terms.payer_id) == (one.cards, one.owner_id)
    begun = await row(renewal, said.renewal_id)
    assert (begun["caller"], begun["dunning_try"]) == (f"text-messages:{TEXT_GATEWAY}", None)


async def test_a_card_that_is_gone_does_not_keep_a_reply_from_renewing_with_the_next(renewal: Wired) -> None:
    one = await reachable(renewal)
    await renewal.consume("projections", one.card(0, 2, status="expired"))
    assert await outcome(renewal, one) == ("renewing", None)
    [said] = requested(renewal, one)
    assert said.terms.payment_method_ids == one.cards[1:]


async def test_the_same_message_again_is_answered_alike_and_begins_nothing(renewal: Wired) -> None:
    one = await reachable(renewal)
    body = message(one)
    first = await bring(renewal, body)
    again = await bring(renewal, body, age_seconds=200)
    assert (again.status, again.body) == (200, first.body)
    about = About(requested(renewal, one)[0])
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    assert (await bring(renewal, body)).body == first.body, "the slot is free, and still it is one message"
    assert len(requested(renewal, one)) == 1
    assert len(await kept(renewal, one)) == 1


async def test_another_message_under_a_known_id_is_refused(renewal: Wired) -> None:
    one, other = await reachable(renewal), await reachable(renewal)
    body = message(one, "hello")
    assert (await bring(renewal, body)).body["outcome"] == "not_understood"
    for changed in ({"text": "1"}, {"sender": number_of(other)}):
        reply = await bring(renewal, body | changed)
        assert (reply.status, reply.problem) == (422, "text-message-id-reused")
    assert not requested(renewal, one)
    assert [each["outcome"] for each in await kept(renewal, one)] == ["not_understood"]


async def test_what_the_gateway_has_not_signed_just_now_is_not_read(renewal: Wired) -> None:
    one = await reachable(renewal)
    body = message(one)
    unsigned = await renewal.request("POST", PORT, body)
    forged = await bring(renewal, body, secret="of somebody else, who wants data")
    altered = await renewal.request("POST", PORT, body | {"text": "0"}, headers=signed(body))
    for reply in (unsigned, forged, altered):
        assert (reply.status, reply.problem) == (401, "text-message-signature-invalid")
    for age in (301, -320):
        old = await bring(renewal, body, age_seconds=age)
        assert (old.status, old.problem) == (401, "text-message-signature-too-old")
    assert not requested(renewal, one)
    assert await kept(renewal, one) == []


async def test_a_gateway_without_a_secret_does_not_exist(renewal: Wired) -> None:
    body = message(someone())
    reply = await renewal.request("POST", "/v1/text-messages/sms-b", body, headers=signed(body))
    assert (reply.status, reply.problem) == (404, "text-message-gateway-unknown")


async def test_what_is_signed_and_malformed_is_told_so_and_what_is_too_large_is_not_read(
    renewal: Wired,
) -> None:
    good = message(someone())
    for wrong in ({"sender": "5351"}, {"message_id": ""}, {"text": None}, {"more": 1}, {"text": "x" * 2001}):
        reply = await bring(renewal, good | wrong)
        assert (reply.status, reply.problem) == (422, "invalid-request"), wrong
    large = await bring(renewal, good | {"text": "x" * 17_000})
    assert (large.status, large.problem) == (413, "text-message-too-large")


# -- whom a number speaks for ---------------------------------------------------------------------------


async def test_an_unknown_number_renews_nothing_and_is_kept_by_its_last_digits(renewal: Wired) -> None:
    one = someone()
    reply = await bring(renewal, message(one, message_id="of-nobody"))
    assert (reply.body["outcome"], reply.body["reason"]) == ("refused", "number_unknown")
    found = await renewal.pool.fetchrow("select * from text_messages where message_id = 'of-nobody'")
    assert found is not None
    assert (found["subscription_id"], found["number_ending"]) == (None, number_of(one)[-4:])
    assert number_of(one) not in str(dict(found))


async def test_a_number_of_two_active_subscriptions_speaks_for_neither(renewal: Wired) -> None:
    one, other = await reachable(renewal), await reachable(renewal)
    await renewal.consume("projections", other.subscription(3, msisdn=number_of(one)))
    assert await outcome(renewal, one) == ("refused", "number_ambiguous")
    assert await outcome(renewal, one, "stop") == ("refused", "number_ambiguous")
    assert not requested(renewal, one)
    assert not requested(renewal, other)

    await renewal.consume("projections", other.subscription(4, msisdn=number_of(one), status="terminated"))
    assert await outcome(renewal, one) == ("renewing", None)
    assert (len(requested(renewal, one)), len(requested(renewal, other))) == (1, 0)


async def test_a_subscription_that_is_not_active_is_not_renewed_and_may_still_opt_out(renewal: Wired) -> None:
    one = await reachable(renewal)
    await renewal.consume("projections", one.subscription(3, msisdn=number_of(one), status="suspended"))
    assert await outcome(renewal, one) == ("refused", "subscription_not_active")
    assert await outcome(renewal, one, "STOP") == ("stopped", None)
    assert [each["outcome"] for each in await kept(renewal, one)] == ["stopped", "refused"]


# -- only what was agreed to ----------------------------------------------------------------------------


async def test_without_a_rule_or_a_consent_that_holds_nothing_is_begun(renewal: Wired) -> None:
    [one] = await known(renewal)
    await renewal.consume("projections", one.subscription(2, msisdn=number_of(one)))
    assert await outcome(renewal, one) == ("refused", "rule_missing")
    await record(renewal, one)
    assert (await set_rule(renewal, one, mandate_id="m-1")).status == 200
    path = f"/v1/subscriptions/{one.subscription_id}/mandates/m-1/revoke"
    assert (await renewal.request("POST", path, {"why": "Lost the telephone."})).status == 200
    assert await outcome(renewal, one) == ("refused", "consent_revoked")
    assert not requested(renewal, one)


async def test_ordinary_admission_has_its_say(renewal: Wired) -> None:
    one = await reachable(renewal)
    gone = (one.card(which, 2, status="expired") for which in (0, 1))
    await renewal.consume("projections", *gone)
    assert await outcome(renewal, one) == ("refused", "payment_method_inactive")
    foreign = await reachable(renewal)
    changed = foreign.subscription(3, msisdn=number_of(foreign), device_matches=False)
    await renewal.consume("projections", changed)
    assert await outcome(renewal, foreign) == ("refused", "device_changed")


async def test_a_rules_renewal_under_way_is_what_the_reply_asks_for(renewal: Wired) -> None:
    one = await reachable(renewal)
    await renewal.consume("admission", one.exhausted())
    [automatic] = requested(renewal, one)
    reply = await bring(renewal, message(one))
    assert reply.body["outcome"] == "under_way"
    assert reply.body["renewal_id"] == str(automatic.renewal_id)
    assert (await row(renewal, automatic.renewal_id))["state"] == "requested", "it does not give way"

    person = await reachable(renewal)
    assert await outcome(renewal, person) == ("renewing", None)
    assert await outcome(renewal, person) == ("under_way", "slot_taken")
    assert len(requested(renewal, person)) == 1


async def test_what_is_left_to_a_person_is_begun_once_they_have_approved_it(renewal: Wired) -> None:
    await put(renewal, "CU/US/*", "review")
    try:
        one = await payer(renewal)
        await renewal.consume("projections", one.subscription(2, msisdn=number_of(one)))
        assert (await set_rule(renewal, one)).status == 200
        reply = await bring(renewal, message(one))
        assert (reply.body["outcome"], requested(renewal, one)) == ("in_review", [])
        assert (await decide(renewal, reply.body["renewal_id"], "approve")).status == 202
        assert [str(said.renewal_id) for said in requested(renewal, one)] == [reply.body["renewal_id"]]
    finally:
        await renewal.pool.execute("delete from acceptance_entries")
        await renewal.pool.execute("delete from acceptance_reviews")


async def test_a_rule_that_dunning_has_paused_is_renewed_by_who_asks_and_stays_paused(renewal: Wired) -> None:
    one = await reachable(renewal, dunning={"soft_after_seconds": []})
    await renewal.consume("admission", one.exhausted())
    await declined(renewal, one, "soft")
    assert await paused_by(renewal, one) == "dunning"
    assert await outcome(renewal, one) == ("renewing", None)
    assert len(requested(renewal, one)) == 2
    assert await paused_by(renewal, one) == "dunning"


async def test_a_rule_that_a_person_has_paused_is_not(renewal: Wired) -> None:
    one = await reachable(renewal)
    path = f"/v1/subscriptions/{one.subscription_id}/renewal-rule/pause"
    await renewal.request("POST", path, {"why": "Fraud?"}, headers={"recarga-caller": "olga"})
    assert await outcome(renewal, one) == ("refused", "rule_paused")
    assert await outcome(renewal, one, "stop") == ("stopped", None)
    assert await outcome(renewal, one) == ("refused", "rule_paused"), "a message does not take its place"


async def test_what_replies_have_charged_counts_against_the_caps(renewal: Wired) -> None:
    one = await reachable(renewal, cap_day_minor=1000)
    assert await outcome(renewal, one) == ("renewing", None)
    about = About(requested(renewal, one)[0])
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    assert await outcome(renewal, one) == ("renewing", None)
    assert requested(renewal, one)[1].terms.max_amount_minor == 100, "900 of 1000 are spent"


async def renewed(renewal: Wired, one: Subscriber) -> About:
    """A reply's renewal, completed."""
    assert await outcome(renewal, one) == ("renewing", None)
    about = About(requested(renewal, one)[-1])
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    return about


async def why_not(renewal: Wired, one: Subscriber) -> tuple[str, str | None]:
    """What the exhausted data of the next cycle led to."""
    await renewal.consume("admission", one.exhausted(1))
    latest = (await decisions(renewal, one))[0]
    return latest["outcome"], latest["reason"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"cap_day_minor": PRICE}, ("waiting", "cap_day")),
        ({"cap_period_minor": PRICE, "period_days": 7}, ("waiting", "cap_period")),
        ({"max_renewals": 1}, ("refused", "max_number")),
        ({"cool_down_seconds": 3600}, ("waiting", "cool_down")),
    ],
)
async def test_what_a_reply_has_charged_counts_for_the_rules_own_renewals(
    renewal: Wired, limits: dict[str, int], said: tuple[str, str]
) -> None:
    one = await reachable(renewal, **limits)
    await renewed(renewal, one)
    assert await why_not(renewal, one) == said
    assert len(requested(renewal, one)) == 1


async def test_what_a_reply_has_charged_counts_for_the_rule_when_it_is_archived_too(renewal: Wired) -> None:
    one = await reachable(renewal, cap_period_minor=PRICE + 50, period_days=200)
    about = await renewed(renewal, one)
    await renewal.pool.execute(
        "update renewals set requested_at = $2, closed_at = $2 where renewal_id = $1",
        about.renewal_id,
        utc_now() - timedelta(days=90),
    )
    await walk(renewal, archive.REMOVAL)
    assert "archived_renewals" in await places(renewal, archive.REMOVAL, about.renewal_id)
    await renewal.consume("admission", one.exhausted(1))
    assert requested(renewal, one)[-1].terms.max_amount_minor == 50


async def test_a_reply_that_charged_nothing_and_a_persons_own_renewal_do_not_count(renewal: Wired) -> None:
    one = await reachable(renewal, cap_day_minor=PRICE, max_renewals=1)
    assert await outcome(renewal, one) == ("renewing", None)
    about = About(requested(renewal, one)[0])
    await renewal.consume("saga", about.rejected())
    await renewal.consume("saga", about.payment_cancelled())
    by_hand = await renewal.request(
        "POST", "/v1/renewals", one.body(), headers={"idempotency-key": f"by-hand-{one.number}"}
    )
    assert by_hand.status == 202, by_hand
    about = About(requested(renewal, one)[-1])
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    assert await why_not(renewal, one) == ("renewed", None)
    assert requested(renewal, one)[-1].terms.max_amount_minor == PRICE


# -- stop, rate, and what is kept -----------------------------------------------------------------------


async def test_stop_pauses_the_rule_once_and_whoever_counts_is_told(renewal: Wired) -> None:
    one = await reachable(renewal)
    assert await outcome(renewal, one, "Baja") == ("stopped", None)
    assert await outcome(renewal, one, "STOP") == ("stopped", None)
    assert await paused_by(renewal, one) == f"text-messages:{TEXT_GATEWAY}"
    told = [said for said in renewal.said(RenewalRuleChanged) if said.subscription_id == one.subscription_id]
    assert [said.paused for said in told] == [False, True]
    audited = await renewal.pool.fetchval(
        "select count(*) from operator_audit where action = 'pause rule' and choice = $1", one.subscription_id
    )
    assert audited == 1
    await renewal.consume("admission", one.exhausted())
    assert not requested(renewal, one)
    assert await outcome(renewal, one) == ("renewing", None), "who asks in person is renewed all the same"
    assert await paused_by(renewal, one) == f"text-messages:{TEXT_GATEWAY}"


async def test_who_lifts_their_own_pause_does_not_lift_what_the_subscriber_has_stopped(
    renewal: Wired,
) -> None:
    one = await reachable(renewal)
    assert await switch(renewal, one, "pause", "Fraud?") == ("olga", None)
    assert await outcome(renewal, one, "STOP") == ("stopped", None)
    await renewal.consume("admission", one.exhausted())
    [waiting] = await decisions(renewal, one)
    assert waiting["reason"] == "rule_paused"
    assert "By olga: Fraud?" in waiting["detail"]
    assert f"By {GATEWAY_NAME}: {STOPPED}" in waiting["detail"]

    assert await switch(renewal, one, "resume", "No fraud.") == (GATEWAY_NAME, GATEWAY_NAME)
    assert not requested(renewal, one)
    assert await outcome(renewal, one) == ("renewing", None), "nobody else hinders who asks in person"
    about = About(requested(renewal, one)[0])
    await renewal.consume("saga", about.rejected(), about.payment_cancelled())
    assert len(requested(renewal, one)) == 1

    assert await switch(renewal, one, "resume", "She wants it again.") == (None, None)
    assert len(requested(renewal, one)) == 2, "what ran out meanwhile"


async def test_somebody_may_pause_what_the_subscriber_has_stopped_and_then_a_reply_renews_nothing(
    renewal: Wired,
) -> None:
    one = await reachable(renewal)
    await outcome(renewal, one, "STOP")
    assert await switch(renewal, one, "pause", "Fraud?") == ("olga", GATEWAY_NAME)
    assert await outcome(renewal, one) == ("refused", "rule_paused")


async def test_dunnings_pause_and_the_subscribers_are_lifted_one_by_one(renewal: Wired) -> None:
    one = await reachable(renewal, dunning={"soft_after_seconds": []})
    await renewal.consume("admission", one.exhausted())
    await declined(renewal, one, "soft")
    await outcome(renewal, one, "stop")
    assert await paused_by(renewal, one) == "dunning"
    assert await switch(renewal, one, "resume", "Another card.") == (GATEWAY_NAME, GATEWAY_NAME)
    assert await switch(renewal, one, "resume", "She wants it again.") == (None, None)


async def test_what_an_older_process_wrote_of_a_stop_is_the_subscribers_word(renewal: Wired) -> None:
    """It knows of one pause; of two it reads the other one, which hinders a reply, too."""
    one, other = await reachable(renewal), await reachable(renewal)
    await outcome(renewal, one, "STOP")
    older = "select paused_by from renewal_rules where subscription_id = $1"
    assert await renewal.pool.fetchval(older, one.subscription_id) == GATEWAY_NAME
    await switch(renewal, one, "pause", "Fraud?")
    assert await renewal.pool.fetchval(older, one.subscription_id) == "olga"

    await renewal.pool.execute(
        "update renewal_rules set paused_at = now(), paused_by = $2, paused_why = 'Stopped.',"
        " opted_out_at = null where subscription_id = $1",
        other.subscription_id,
        GATEWAY_NAME,
    )
    assert await switch(renewal, other, "pause", "Fraud?") == ("olga", GATEWAY_NAME)
    assert await switch(renewal, other, "resume", "No fraud.") == (GATEWAY_NAME, GATEWAY_NAME)


async def test_a_number_may_ask_so_often_within_an_hour_and_may_always_stop(renewal: Wired) -> None:
    one = await reachable(renewal)
    told = [await outcome(renewal, one) for _ in range(7)]
    assert told[0] == ("renewing", None)
    assert told[1:5] == [("under_way", "slot_taken")] * 4
    assert told[5:] == [("refused", "too_many_replies")] * 2
    assert await outcome(renewal, one, "hello") == ("not_understood", None)
    assert await outcome(renewal, one, "") == ("not_understood", None)
    assert await outcome(renewal, one, "stop") == ("stopped", None)
    await renewal.pool.execute(
        "update text_messages set at = at - interval '1 hour' where subscription_id = $1", one.subscription_id
    )
    assert (await outcome(renewal, one))[0] == "under_way"


async def test_what_became_of_replies_is_shown_in_pages_without_text_or_number(renewal: Wired) -> None:
    one = await reachable(renewal)
    for text in ("What is this?", "1", "stop"):
        await outcome(renewal, one, text)
    shown = await kept(renewal, one)
    assert [(each["word"], each["outcome"]) for each in shown] == [
        ("stop", "stopped"),
        ("renew", "renewing"),
        (None, "not_understood"),
    ]
    assert {each["number_ending"] for each in shown} == {number_of(one)[-4:]}
    assert "What is this" not in json.dumps(shown)
    assert number_of(one) not in json.dumps(shown)

    seen: list[str] = []
    cursor = ""
    while True:
        path = f"/v1/subscriptions/{one.subscription_id}/text-messages?limit=2{cursor}"
        page = await renewal.request("GET", path)
        seen += [each["message_id"] for each in page.body["items"]]
        if page.body["next_cursor"] is None:
            break
        cursor = f"&cursor={page.body['next_cursor']}"
    assert seen == [each["message_id"] for each in shown]


async def test_what_is_too_old_is_forgotten_and_even_then_renews_nothing_again(renewal: Wired) -> None:
    one = await reachable(renewal)
    body = message(one)
    first = await bring(renewal, body)
    loop = OldReplies(renewal.transactions)
    async with renewal.transactions.begin() as transaction:
        transaction.now += REMEMBERED - timedelta(hours=1)
        await loop.forget(transaction)
    assert len(await kept(renewal, one)) == 1
    await renewal.pool.execute(
        "update text_messages set at = at - interval '401 days' where subscription_id = $1",
        one.subscription_id,
    )
    await renewal.transactions.run(loop.forget)
    assert await kept(renewal, one) == []
    assert (await bring(renewal, body)).body == first.body
    assert len(requested(renewal, one)) == 1


# -- at once --------------------------------------------------------------------------------------------


def answering(one: Subscriber, message_id: str, told: list[Any], per_hour: int = 5) -> Work:
    """What a process does with a message of that number."""
    replies = Replies(POLICY, per_hour)
    incoming = Incoming(TEXT_GATEWAY, message_id, number_of(one), "1", b"the same")

    async def work(transaction: Transaction) -> None:
        told.append(await replies.answer(transaction, incoming))

    return work


async def test_one_message_in_two_processes_at_once_begins_one_renewal(renewal: Wired) -> None:
    one = await reachable(renewal)
    told: list[Any] = []
    await at_once(renewal, answering(one, "twice-at-once", told), answering(one, "twice-at-once", told))
    assert told[0] == told[1]
    assert told[0].outcome == "renewing"
    assert [said.renewal_id for said in requested(renewal, one)] == [told[0].renewal_id]


async def test_two_messages_of_one_number_at_once_are_counted_one_after_the_other(renewal: Wired) -> None:
    one = await reachable(renewal)
    told: list[Any] = []
    await at_once(
        renewal,
        answering(one, "first-of-two", told, per_hour=1),
        answering(one, "second-of-two", told, per_hour=1),
    )
    assert [(each.outcome, each.reason) for each in told] == [
        ("renewing", None),
        ("refused", "too_many_replies"),
    ]


async def test_many_at_once_over_http_begin_one_renewal(renewal: Wired) -> None:
    one = await reachable(renewal)
    body = message(one)
    replies = await asyncio.gather(*(bring(renewal, body) for _ in range(8)))
    assert {(reply.status, json.dumps(reply.body)) for reply in replies} == {
        (200, json.dumps(replies[0].body))
    }
    assert len(requested(renewal, one)) == 1
