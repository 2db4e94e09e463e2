"""A payer answers by the link that was sent: once, in time, with an own method, or is told why not."""

import asyncio
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from services.renewal.customer_links import CustomerLinks
from shared.clock import utc_now
from shared.contracts.payment_commands import CapturePayment
from shared.contracts.payments import PaymentActionRequired
from shared.contracts.renewals import CustomerActionRequired
from tests.integration.renewal.conftest import LINK_SECRET, About, Subscriber, begun, known
from tests.integration.wired import Reply, Wired

ADDRESS = "http://127.0.0.1:18001/v1/customer-actions"


def action_required(about: About, attempt: int = 1) -> PaymentActionRequired:
    """Payment says that the bank wants the payer to confirm."""
    declined = about.declined(attempt)
    return PaymentActionRequired(
        renewal_id=declined.renewal_id,
        subscription_id=declined.subscription_id,
        version=attempt,
        attempt=attempt,
        terms=declined.terms,
        payment_method_id=declined.payment_method_id,
        action_before=utc_now() + timedelta(minutes=5),
    )


def needs_customer(about: About) -> Any:
    """Payment says that only the payer can help."""
    return about.declined().model_copy(
        update={"decline_class": "needs_customer", "decline_code": "incorrect_cvc"}
    )


async def asked(renewal: Wired, *said: Any) -> tuple[Subscriber, About, str]:
    """A renewal whose payer was asked by these words of payment; and where the link leads."""
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.priced(), *(each(about) for each in said))
    return one, about, link_of(renewal, about)


def questions(renewal: Wired, about: About) -> list[CustomerActionRequired]:
    """What its payer was asked, in order."""
    return [asked for asked in renewal.said(CustomerActionRequired) if asked.renewal_id == about.renewal_id]


def link_of(renewal: Wired, about: About) -> str:
    """The path and query of the newest link that was sent about it."""
    url = questions(renewal, about)[-1].action_url
    assert url is not None
    assert url.startswith(f"{ADDRESS}?token=")
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


async def pay(renewal: Wired, link: str, method: str) -> Reply:
    return await renewal.request("POST", link, {"payment_method_id": method})


def captures(renewal: Wired, about: About) -> list[tuple[str, int]]:
    """The captures that were ordered: with which method, as which attempt."""
    return [
        (command.payment_method_id, command.attempt)
        for command in renewal.said(CapturePayment)
        if command.renewal_id == about.renewal_id
    ]


async def test_a_link_shows_what_is_asked_and_nothing_secret(renewal: Wired) -> None:
    one, about, link = await asked(renewal, action_required)
    shown = await renewal.request("GET", link)
    assert shown.status == 200
    until = shown.body.pop("until")
    [question] = [
        told for told in renewal.said(CustomerActionRequired) if told.renewal_id == about.renewal_id
    ]
    assert until == f"{question.action_before.replace(microsecond=0):%Y-%m-%dT%H:%M:%SZ}"
    assert shown.body == {
        "action": "confirm_payment",
        "offering_id": "cuba-1gb",
        "amount_minor": 900,
        "currency": "USD",
        "payment_method_id": one.cards[0],
        "failed": "confirmation_required",
    }


async def test_who_has_confirmed_at_the_bank_says_so_and_the_same_method_is_charged(renewal: Wired) -> None:
    one, about, link = await asked(renewal, action_required)
    answer = await pay(renewal, link, one.cards[0])
    assert (answer.status, answer.body) == (202, {"state": "priced"})
    assert captures(renewal, about) == [(one.cards[0], 2)]
    page = await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")
    assert page.body["history"][-1]["message"] == "CustomerRetries"
    assert page.body["history"][-1]["detail"] == f"by {one.owner_id}: by the link that was sent"


async def test_who_is_asked_for_another_method_names_one(renewal: Wired) -> None:
    one, about, link = await asked(renewal, needs_customer)
    shown = await renewal.request("GET", link)
    assert (shown.body["action"], shown.body["failed"]) == ("choose_payment_method", "incorrect_cvc")
    answer = await pay(renewal, link, one.cards[1])
    assert (answer.status, answer.body) == (202, {"state": "priced"})
    assert captures(renewal, about) == [(one.cards[1], 2)]


async def test_somebody_elses_method_pays_nothing_and_the_link_stays_good(renewal: Wired) -> None:
    one, about, link = await asked(renewal, needs_customer)
    [other] = await known(renewal)
    for stolen in (other.cards[0], "no-such-card"):
        answer = await pay(renewal, link, stolen)
        assert (answer.status, answer.problem) == (422, "payment-method-unknown")
    await renewal.consume("projections", one.card(1, version=2, status="expired"))
    assert (await pay(renewal, link, one.cards[1])).problem == "payment-method-inactive"
    assert captures(renewal, about) == []
    assert (await pay(renewal, link, one.cards[0])).status == 202


async def test_a_link_is_used_once(renewal: Wired) -> None:
    one, about, link = await asked(renewal, action_required)
    assert (await pay(renewal, link, one.cards[0])).status == 202
    for again in (await pay(renewal, link, one.cards[1]), await renewal.request("GET", link)):
        assert (again.status, again.problem, again.body["state"]) == (409, "action-link-used", "priced")
        assert "wait for its end" in again.body["detail"]
    assert captures(renewal, about) == [(one.cards[0], 2)]


async def test_who_is_asked_again_gets_another_link_and_the_old_one_stays_used(renewal: Wired) -> None:
    one, about, first = await asked(renewal, action_required)
    await pay(renewal, first, one.cards[0])
    await renewal.consume("saga", action_required(about, attempt=2))
    second = link_of(renewal, about)
    assert (await pay(renewal, first, one.cards[0])).problem == "action-link-used"
    assert (await pay(renewal, second, one.cards[0])).status == 202
    assert captures(renewal, about) == [(one.cards[0], 2), (one.cards[0], 3)]


async def test_a_bank_that_was_quicker_leaves_nothing_to_do(renewal: Wired) -> None:
    one, about, link = await asked(renewal, action_required)
    await renewal.consume("saga", about.captured())
    answer = await pay(renewal, link, one.cards[0])
    assert (answer.status, answer.problem, answer.body["state"]) == (409, "action-link-used", "captured")
    assert captures(renewal, about) == []


async def test_a_closed_renewal_says_that_it_is_over(renewal: Wired) -> None:
    one, about, link = await asked(renewal, action_required)
    assert (await renewal.request("POST", f"/v1/renewals/{about.renewal_id}/cancel")).status == 202
    assert (await pay(renewal, link, one.cards[0])).problem == "action-link-used"
    await renewal.consume("saga", about.payment_cancelled())
    for late in (await pay(renewal, link, one.cards[0]), await renewal.request("GET", link)):
        assert (late.status, late.problem, late.body["state"]) == (409, "action-renewal-closed", "cancelled")
        assert "ask for a new renewal" in late.body["detail"]


async def test_an_expired_link_says_until_when_it_was_good(renewal: Wired) -> None:
    one, about, _ = await asked(renewal, action_required)
    [question] = [
        told for told in renewal.said(CustomerActionRequired) if told.renewal_id == about.renewal_id
    ]
    over = question.model_copy(update={"action_before": utc_now() - timedelta(seconds=1)})
    url = CustomerLinks(LINK_SECRET, ADDRESS, utc_now).signed(over).action_url
    assert url is not None
    link = url.removeprefix("http://127.0.0.1:18001")
    for late in (await pay(renewal, link, one.cards[0]), await renewal.request("GET", link)):
        assert (late.status, late.problem) == (410, "action-link-expired")
        assert "ask for a new renewal" in late.body["detail"]
    assert captures(renewal, about) == []


async def test_a_forged_link_is_refused_and_not_repeated(renewal: Wired) -> None:
    _, about, link = await asked(renewal, action_required)
    for forged in (link[:-3] + "AAA", f"{urlsplit(link).path}?token=nonsense"):
        for reply in (await pay(renewal, forged, "card"), await renewal.request("GET", forged)):
            assert (reply.status, reply.problem) == (403, "action-link-not-genuine")
            assert "token" not in str(reply.body)
    assert captures(renewal, about) == []


async def test_a_request_without_a_token_or_a_method_is_named(renewal: Wired) -> None:
    _, _, link = await asked(renewal, action_required)
    assert (await renewal.request("GET", urlsplit(link).path)).problem == "invalid-request"
    assert (await renewal.request("POST", link, {})).problem == "invalid-request"
    assert (
        await renewal.request("POST", link, {"payment_method_id": "no spaces"})
    ).problem == "invalid-request"


async def test_a_hundred_clicks_are_one_payment(renewal: Wired) -> None:
    one, about, link = await asked(renewal, action_required)
    answers = await asyncio.gather(*(pay(renewal, link, one.cards[0]) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [202] + [409] * 19
    assert captures(renewal, about) == [(one.cards[0], 2)]
