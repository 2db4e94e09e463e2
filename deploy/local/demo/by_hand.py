"""Renewals that people ask for themselves, over POST /v1/renewals, and what else they do there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.local.demo.api import Api, Reply, problem_text, until
from deploy.local.demo.plans import DESTINATION, Json
from deploy.local.demo.story import Subscriber
from deploy.local.errors import LocalStackError

END_SECONDS: Final = 60.0
AT_ONCE: Final = 4
CLOSED: Final = frozenset({"completed", "refunded", "failed", "cancelled"})
ENDED: Final = CLOSED | {"parked"}


@dataclass(slots=True)
class Handmade:
    """What people got for their requests, for the report."""

    asked: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    duplicates_absorbed: int = 0
    reused_keys_refused: int = 0
    called_off: int = 0


async def ask_for_all(api: Api, people: Sequence[Subscriber], handmade: Handmade) -> None:
    """Everyone asks, a few at a time, and waits for the end. The first one clicks twice."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(person: Subscriber, *, clicks_twice: bool) -> None:
        async with gate:
            await _ask(api, person, handmade, clicks_twice=clicks_twice)

    tasks = [
        asyncio.ensure_future(one(person, clicks_twice=place == 0)) for place, person in enumerate(people)
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(api: Api, person: Subscriber, handmade: Handmade, *, clicks_twice: bool) -> None:
    body = await _request(api, person)
    key = f"app-{person.subscription_id}"
    reply = await api.call("renewal", "POST", "/v1/renewals", body, key=key)
    if reply.status != 202:
        raise LocalStackError(f"renewal refused a request: {problem_text(reply.body)}")
    handmade.asked += 1
    renewal_id = reply.body["renewal_id"]
    if clicks_twice:
        await _click_again(api, body, key, renewal_id, handmade)
    if person.scene.end == "cancelled":
        await _call_off(api, renewal_id, handmade)
    ended = await _wait_for(api, renewal_id, ENDED)
    handmade.ended[ended["state"]] = handmade.ended.get(ended["state"], 0) + 1


async def _request(api: Api, person: Subscriber) -> Json:
    """What the app would send: the price that it was shown."""
    path = f"/v1/offerings?destination={DESTINATION}&subscription_id={person.subscription_id}"
    shown = await api.must("catalog", "GET", path)
    offering = next(each for each in shown["items"] if each["offering_id"] == person.plan.offering_id)
    price = next(each for each in offering["prices"] if each["currency"] == person.currency)
    body: Json = {
        "subscription_id": person.subscription_id,
        "offering_id": person.plan.offering_id,
        "expected_amount_minor": price["amount_minor"],
        "currency": person.currency,
        "payment_method_ids": [method.payment_method_id for method in person.methods],
    }
    return body | {"payer_id": person.payer_id} if person.payer_id != person.owner_id else body


async def _click_again(api: Api, body: Json, key: str, renewal_id: str, handmade: Handmade) -> None:
    """The same request again is the same renewal; another request under the same key is refused."""
    again = await api.call("renewal", "POST", "/v1/renewals", body, key=key)
    if again.status == 200 and again.body["renewal_id"] == renewal_id:
        handmade.duplicates_absorbed += 1
    other = body | {"expected_amount_minor": 1}
    refused: Reply = await api.call("renewal", "POST", "/v1/renewals", other, key=key)
    if refused.status == 422:
        handmade.reused_keys_refused += 1


async def _call_off(api: Api, renewal_id: str, handmade: Handmade) -> None:
    waiting = await _wait_for(api, renewal_id, ENDED | {"awaiting_customer"})
    if waiting["state"] != "awaiting_customer":
        return  # how it ended instead is told by the promises
    await api.must("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel", {})
    handmade.called_off += 1


async def _wait_for(api: Api, renewal_id: str, states: frozenset[str]) -> Any:
    """The renewal once it is in one of the states."""
    found: Any = None

    async def check() -> bool:
        nonlocal found
        found = await api.must("renewal", "GET", f"/v1/renewals/{renewal_id}")
        return found["state"] in states

    await until(check, END_SECONDS, lambda: f"renewal {renewal_id} is still {found['state']}")
    return found
