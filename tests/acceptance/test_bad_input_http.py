"""Whatever is sent over HTTP: a 4xx problem document that says what to do, never a 5xx."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import pytest

from deploy.local.ports import SERVICES
from tests.acceptance.good_requests import KEYED, PAYERS, TEXTS, GoodRequest, bad_bodies, good_requests
from tests.acceptance.http_caller import Reply, send
from tests.acceptance.office import Office
from tests.acceptance.subscribers import Subscriber

JSON: Final = {"content-type": "application/json"}
TOO_LARGE: Final = b'{"pad": "' + b"x" * (5 * 1024 * 1024) + b'"}'
NOT_FOR_A_ROUTE: Final[list[tuple[str, bytes, Mapping[str, str], str]]] = [
    ("half a text", b'{"a": ', JSON, "malformed-json"),
    ("two texts", b"{} {}", JSON, "malformed-json"),
    ("not a number", b'{"a": NaN}', JSON, "malformed-json"),
    ("not UTF-8", b'{"a": "\xff\xfe"}', JSON, "malformed-json"),
    ("a lone surrogate", b'{"a": "\\ud800"}', JSON, "malformed-json"),
    ("nested deeply", b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON, "malformed-json"),
    ("a NUL", b'{"a": "\\u0000"}', JSON, "nul-character"),
    ("too large", TOO_LARGE, JSON, "body-too-large"),
    ("a form", b"a=1&b=2", {"content-type": "application/x-www-form-urlencoded"}, "unsupported-media-type"),
    ("plain text", b"{}", {"content-type": "text/plain"}, "unsupported-media-type"),
    ("no type", b"{}", {}, "unsupported-media-type"),
    ("compressed", b"\x1f\x8b\x08", JSON | {"content-encoding": "gzip"}, "unsupported-media-type"),
    ("nothing", b"", JSON, "invalid-request"),
    ("a list", b"[]", JSON, "invalid-request"),
    ("a text", b'"text"', JSON, "invalid-request"),
    ("null", b"null", JSON, "invalid-request"),
    ("an empty object", b"{}", JSON, "invalid-request"),
]
BAD_KEYS: Final = ("", " ", "with space", "x" * 256, "señal", '""')


@pytest.fixture(scope="module")
async def known(office: Office) -> AsyncIterator[tuple[Subscriber, str]]:
    """A subscriber whose renewal waits for the payer: so every operation has something to act upon."""
    subscriber = await office.seeded(cards=("sca",))
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "awaiting_customer")
    yield subscriber, renewal_id
    await office.ok("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")
    await office.in_state(renewal_id, "cancelled")


@pytest.fixture(scope="module")
async def goods(office: Office, known: tuple[Subscriber, str]) -> list[GoodRequest]:
    """A good request for every operation that reads a body."""
    requests = good_requests(*known)
    await office.ok("payment", "PUT", f"/v1/wallets/acc-{known[0].number}/USD")
    return requests


async def operations(office: Office, service: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What a service's OpenAPI document lists, without what only reads."""
    paths = (await office.ok(service, "GET", "/openapi.json")).body["paths"]
    return {
        (service, method.upper(), template): operation
        for template, methods in paths.items()
        for method, operation in methods.items()
        if method in ("post", "put", "patch", "delete")
    }


async def call(office: Office, good: GoodRequest, body: bytes, headers: Mapping[str, str]) -> Reply:
    keyed = {"idempotency-key": str(uuid.uuid4())} if good.template in KEYED else {}
    signed = office.signed_in("olga") if good.is_an_operators else {}
    if good.template == TEXTS:
        signed = office.signed_text(body)
    url = office.stack.service_url(good.service)
    return await send(url, good.method, good.path, body, {**keyed, **signed, **headers})


def wrong_with(reply: Reply, wanted: str | None = None, sent: object = None) -> str | None:
    """What is wrong with a refusal of what was sent; None where it is as it should be."""
    if not 400 <= reply.status < 500:
        return f"status {reply.status}: {reply.content[:200]!r}"
    try:
        problem = reply.problem
    except (AssertionError, ValueError) as error:
        return f"no problem document: {error}"
    detail = reply.body["detail"]
    if len(detail.split()) < 5 or not detail.endswith("."):
        return f"no sentence that says what to do: {detail!r}"
    if wanted not in (None, problem):
        return f"{problem} instead of {wanted}"
    return nowhere(reply.body, sent)


def nowhere(problem: Mapping[str, Any], sent: object) -> str | None:
    """Which of its errors leads to nothing in the request, or where another does; None where none is so."""
    places = [(one["location"], one.get("pointer", one.get("name"))) for one in problem.get("errors", ())]
    if len(set(places)) < len(places):
        return f"a place that is told twice: {places}"
    for location, way in places:
        if location != "body":
            if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*(\.\d+)?", way) is None:
                return f"no name of a parameter: {way!r}"
        elif not leads_somewhere(way, sent):
            return f"no JSON Pointer into {sent!r:.100}: {way!r}"
    return None


def leads_somewhere(pointer: str, sent: Any) -> bool:
    """Whether it is a JSON Pointer (RFC 6901) to a value in what was sent, or to a member that it lacks."""
    if re.fullmatch(r"(/([^/~]|~[01])*)*", pointer) is None:
        return False
    segments = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for number, segment in enumerate(segments, start=1):
        if isinstance(sent, list) and segment.isdecimal() and int(segment) < len(sent):
            sent = sent[int(segment)]
        elif isinstance(sent, dict) and segment in sent:
            sent = sent[segment]
        else:
            return isinstance(sent, dict) and number == len(segments)
    return True


async def test_every_operation_that_reads_a_body_is_tried_here(
    office: Office, goods: list[GoodRequest]
) -> None:
    listed = {
        name
        for service in SERVICES
        for name, operation in (await operations(office, service)).items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    }
    assert listed == {good.operation for good in goods}


async def test_lines_that_are_no_usage_records_are_told_one_by_one(office: Office) -> None:
    url = office.stack.service_url("usage")
    bodies = [body for _, body, _, problem in NOT_FOR_A_ROUTE if problem != "body-too-large" and body]
    lines = b"\n".join(bodies)
    reply = await send(url, "POST", "/v1/usage-records", lines, {"content-type": "application/x-ndjson"})
    assert reply.status == 200
    answers = [json.loads(line) for line in reply.content.splitlines()]
    assert [(each["line"], each["result"]) for each in answers] == [
        (number, "invalid") for number in range(1, len(bodies) + 1)
    ]
    reply = await send(url, "POST", "/v1/usage-records", TOO_LARGE, {"content-type": "application/x-ndjson"})
    assert wrong_with(reply, "body-too-large") is None


async def test_a_body_that_no_route_could_read_is_refused_everywhere(
    office: Office, goods: list[GoodRequest]
) -> None:
    wrong = {}
    for good in goods:
        for name, body, headers, problem in NOT_FOR_A_ROUTE:
            reply = await call(office, good, body, headers)
            sent = json.loads(body) if problem == "invalid-request" and body else None
            if found := wrong_with(reply, problem, sent):
                wrong[good.operation, name] = found
    assert wrong == {}


async def test_a_field_that_is_wrong_is_refused_by_name(office: Office, goods: list[GoodRequest]) -> None:
    wrong: dict[tuple[Any, str], str] = {}
    for good in [good for good in goods if not good.is_bulk]:
        for name, body in bad_bodies(good):
            reply = await call(office, good, json.dumps(body).encode(), JSON)
            if found := wrong_with(reply, sent=body):
                wrong[good.operation, name] = found
    assert wrong == {}


async def test_a_wrong_item_among_many_is_refused_by_its_place(
    office: Office, goods: list[GoodRequest]
) -> None:
    wrong: dict[tuple[Any, str], str] = {}
    for good in [good for good in goods if good.is_bulk]:
        named = [(name, body) for name, body in bad_bodies(good) if "nul " not in name]
        items = [body for _, body in named]
        reply = await call(office, good, json.dumps({"items": items}).encode(), JSON)
        assert reply.status == 200, (good.operation, reply.content[:500])
        refused = {one["index"]: one["problem"] for one in reply.body["refused"]}
        for place, (name, body) in enumerate(named):
            problem = refused.get(place)
            if problem is None or not problem["type"].startswith("urn:recarga:problem:"):
                wrong[good.operation, name] = str(problem)
            elif found := nowhere(problem, body):
                wrong[good.operation, name] = found
        structures: list[dict[str, Any]] = [{"items": []}, {"items": [good.body] * 1_001}, {"things": []}]
        for structure in structures:
            reply = await call(office, good, json.dumps(structure).encode(), JSON)
            if found := wrong_with(reply, "invalid-request", structure):
                wrong[good.operation, str(structure)[:40]] = found
    assert wrong == {}


async def test_what_the_bad_ones_are_made_from_is_taken(office: Office, goods: list[GoodRequest]) -> None:
    for good in goods:
        body = {"items": [good.body]} if good.is_bulk else good.body
        reply = await call(office, good, json.dumps(body).encode(), JSON)
        if good.operation[1:] == ("POST", "/v1/renewals"):
            assert reply.problem == "slot-taken", "its slot is taken by the renewal that waits"
        elif good.template == PAYERS:
            assert reply.problem == "action-link-not-genuine", "whatever is asked, by no link of ours"
        elif good.template == "/v1/operator/charge-stops":
            assert reply.problem == "unknown-carrier", "a real one would stop charges for all other tests"
        elif "/acceptance" in good.template:
            assert reply.status == 200, (good.operation, reply.content)
        elif good.is_an_operators:
            # It is not parked, and has a later version; nothing was proposed about it, no job was started.
            assert reply.status in (201, 404, 409), (good.operation, reply.content)
        else:
            assert reply.status < 300, (good.operation, reply.content)


@pytest.mark.parametrize("path", sorted(KEYED))
async def test_an_idempotency_key_is_wanted_readable_and_used_once(
    office: Office, goods: list[GoodRequest], path: str
) -> None:
    good = next(good for good in goods if good.template == path)
    url, body = office.stack.service_url(good.service), json.dumps(good.body).encode()

    missing = await send(url, "POST", good.path, body, JSON)
    assert (missing.status, missing.problem) == (400, "idempotency-key-missing")
    for key in BAD_KEYS:
        reply = await send(url, "POST", good.path, body, {**JSON, "idempotency-key": key})
        assert wrong_with(reply) is None, (key, wrong_with(reply))


async def test_a_deposit_is_made_once_per_key(office: Office, goods: list[GoodRequest]) -> None:
    good = next(good for good in goods if good.template.endswith("/deposits"))
    headers = {**JSON, "idempotency-key": str(uuid.uuid4())}
    url = office.stack.service_url("payment")

    first, again, other = [
        await send(url, "POST", good.path, json.dumps({"amount_minor": amount}).encode(), headers)
        for amount in (7, 7, 8)
    ]

    assert first.body == again.body
    assert (other.status, other.problem) == (422, "idempotency-key-reused")


async def test_ids_in_an_address_that_nobody_could_have_are_refused(office: Office) -> None:
    ids = ("%00", "a%20b", "x" * 65, "..%2F..%2Fetc", "%F0%9F%92%A5", "%FF", "-1", "'%20or%201=1")
    wrong = {}
    for service in SERVICES:
        paths = (await office.ok(service, "GET", "/openapi.json")).body["paths"]
        for template, methods in paths.items():
            if "{" not in template:
                continue
            for id_ in ids:
                path = "/".join(
                    id_.replace(" ", "%20") if part[:1] == "{" else part for part in template.split("/")
                )
                for method in methods:
                    reply = await send(office.stack.service_url(service), method.upper(), path, b"{}", JSON)
                    if found := wrong_with(reply, sent={}):
                        wrong[service, method, path] = found
    assert wrong == {}


async def test_a_webhook_that_the_psp_did_not_sign_is_refused(office: Office) -> None:
    url = office.stack.service_url("payment")
    event = json.dumps({"type": "payment_intent.succeeded", "data": {"object": {"id": "pi_1"}}}).encode()
    for signature in ({}, {"sandbox-signature": "t=1,v1=" + "0" * 64}, {"sandbox-signature": "nonsense"}):
        for body in (event, b"not JSON", b"", b"[]"):
            reply = await send(url, "POST", "/v1/webhooks/psp", body, {**JSON, **signature})
            assert wrong_with(reply) is None, (signature, body, wrong_with(reply))


async def test_a_caller_or_a_page_that_cannot_be_is_refused(office: Office) -> None:
    url = office.stack.service_url("renewal")
    replies = await asyncio.gather(
        send(url, "POST", "/v1/renewals", b"{}", {**JSON, "recarga-caller": "no such name!"}),
        send(url, "GET", "/v1/renewals?limit=0"),
        send(url, "GET", "/v1/renewals?limit=201"),
        send(url, "GET", "/v1/renewals?cursor=invented"),
        send(url, "GET", "/v1/renewals?state=happy"),
        send(url, "GET", "/v1/operator/renewals?state=happy", headers=office.signed_in("vera", "viewer")),
        send(url, "GET", "/v1/renewals?subscription_id=%00"),
        send(url, "DELETE", "/v1/renewals"),
    )
    assert [wrong_with(reply) for reply in replies] == [None] * len(replies)
