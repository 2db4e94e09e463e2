"""Whatever is sent, the answer is a 4xx problem document, never a 500 and never what was sent."""

import json
from typing import Any

import pytest

KEY = {"Idempotency-Key": "k-1"}
GOOD: dict[str, Any] = {"name": "p-1", "amount_minor": 5}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"name": "p-1",', "malformed-json"),
        (b"{'name': 'p-1'}", "malformed-json"),
        (b'{"name": "p-1", "amount_minor": NaN}', "malformed-json"),
        (b'{"name": "p-1", "amount_minor": Infinity}', "malformed-json"),
        (b'{"name": "p-1", "amount_minor": ' + b"9" * 5000 + b"}", "malformed-json"),
        (b"[" * 5000 + b"]" * 5000, "malformed-json"),
        (b'{"name": "\xff\xfe"}', "malformed-json"),
        (b'{"name": "\\ud800"}', "malformed-json"),
        (b'\xef\xbb\xbf{"name": "p-1"}', "malformed-json"),
        ('{"name": "p-1"}'.encode("utf-16"), "malformed-json"),
        (b"\x00\x01\x02", "malformed-json"),
        (b'{"name": "p-1", "amount_minor": 5, "note": "a\\u0000b"}', "nul-character"),
        (b'{"name": "p-1", "amount_minor": 5, "a\\u0000b": [{"c": 1}]}', "nul-character"),
        (b"[" * 900 + b"]" * 900, "invalid-request"),
        (b"null", "invalid-request"),
        (b"[]", "invalid-request"),
        (b'"text"', "invalid-request"),
        (b"", "invalid-request"),
        (b"{}", "invalid-request"),
    ],
)
async def test_a_body_that_no_route_can_read_is_refused(ask: Any, body: bytes, problem: str) -> None:
    reply = await ask("POST", "/v1/parcels", body, KEY)
    assert reply.problem == problem
    assert reply.status == (422 if problem == "invalid-request" else 400)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount_minor": -1}, "/amount_minor"),
        ({"amount_minor": 10**13}, "/amount_minor"),
        ({"amount_minor": 10**40}, "/amount_minor"),
        ({"amount_minor": True}, "/amount_minor"),
        ({"amount_minor": "5"}, "/amount_minor"),
        ({"amount_minor": 5.0}, "/amount_minor"),
        ({"amount_minor": 1e300}, "/amount_minor"),
        ({"amount_minor": None}, "/amount_minor"),
        ({"name": 7}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "p" * 65}, "/name"),
        ({"name": "p-1\n"}, "/name"),
        ({"at": 1700000000}, "/at"),
        ({"at": "2026-11-23T10:00:00"}, "/at"),
        ({"at": "yesterday"}, "/at"),
        ({"codes": "p-1"}, "/codes"),
        ({"codes": ["ok", {"deep": [1]}]}, "/codes/1"),
        ({"price/old~": 1}, "/price~1old~0"),
    ],
)
async def test_a_wrong_field_is_named_by_its_pointer(ask: Any, change: dict[str, Any], pointer: str) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD | change, KEY)
    assert reply.problem == "invalid-request"
    assert [error["pointer"] for error in reply.json["errors"]] == [pointer]
    assert reply.json["errors"][0]["message"]


async def test_what_was_sent_is_not_sent_back(ask: Any) -> None:
    secret = "4242424242424242"
    reply = await ask(
        "POST", "/v1/parcels", {"name": secret * 5, "amount_minor": secret, secret: secret}, KEY
    )
    assert reply.problem == "invalid-request"
    assert secret.encode() not in reply.body


async def test_thousands_of_faults_give_a_bounded_answer(ask: Any) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD | {f"x{number}": 1 for number in range(1500)}, KEY)
    assert reply.problem == "invalid-request"
    assert len(reply.json["errors"]) == 50
    assert "1500 fields" in reply.json["detail"]


@pytest.mark.parametrize("chunked", [False, True], ids=["declared length", "chunked"])
async def test_an_oversized_body_is_refused(ask: Any, chunked: bool) -> None:
    headers = KEY | ({"Transfer-Encoding": "chunked"} if chunked else {})
    reply = await ask("POST", "/v1/parcels", GOOD | {"note": "x" * 100_000}, headers)
    assert reply.problem == "body-too-large"
    assert reply.status == 413
    assert reply.headers["connection"] == "close"


async def test_a_chunked_body_within_the_limit_is_read_whole(ask: Any) -> None:
    reply = await ask(
        "POST", "/v1/parcels", GOOD | {"note": "x" * 15_000}, KEY | {"Transfer-Encoding": "chunked"}
    )
    assert reply.status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_another_media_type_is_refused(ask: Any, headers: dict[str, str]) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD, KEY | headers)
    assert (reply.status, reply.problem) == (415, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/cloudevents+json"])
async def test_json_by_another_name_is_accepted(ask: Any, media_type: str) -> None:
    assert (await ask("POST", "/v1/parcels", GOOD, KEY | {"Content-Type": media_type})).status == 202


async def test_lines_of_json_are_taken_only_where_a_route_reads_lines(ask: Any) -> None:
    lines = b'{"a": 1}\n{nonsense\n'
    ndjson = {"Content-Type": "application/x-ndjson"}
    taken = await ask("POST", "/v1/lines", lines, ndjson)
    assert (taken.status, taken.json) == (200, 2)
    for path, headers in (("/v1/parcels", KEY | ndjson), ("/v1/lines", {"Content-Type": "application/json"})):
        reply = await ask("POST", path, lines, headers)
        assert (reply.status, reply.problem) == (415, "unsupported-media-type")


async def test_an_escaped_backslash_before_u0000_is_not_a_nul(ask: Any) -> None:
    body = json.dumps(GOOD | {"note": "\\u0000"}).encode()
    assert (await ask("POST", "/v1/parcels", body, KEY)).status == 202


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/parcels/", 404, "not-found"),
        ("DELETE", "/v1/parcels", 405, "method-not-allowed"),
        ("PROPFIND", "/v1/parcels", 405, "method-not-allowed"),
        ("GET", "/v1/parcels/7", 422, "invalid-request"),
        ("GET", "/v1/parcels?limit=0", 422, "invalid-request"),
        ("GET", "/v1/parcels?limit=201", 422, "invalid-request"),
        ("GET", "/v1/parcels?limit=" + "9" * 5000, 422, "invalid-request"),
        ("GET", "/v1/parcels?cursor=" + "a" * 513, 422, "invalid-request"),
        ("GET", "/v1/parcels?cursor=!!!", 400, "invalid-cursor"),
        ("GET", "/v1/parcels?cursor=a%00b", 400, "nul-character"),
        ("GET", "/v1/parcels/%00", 400, "nul-character"),
    ],
)
async def test_a_wrong_address_is_a_problem(
    ask: Any, method: str, path: str, status: int, problem: str
) -> None:
    reply = await ask(method, path)
    assert (reply.status, reply.problem) == (status, problem)


@pytest.mark.parametrize("caller", ["two words", "", "x" * 65, "näme"])
async def test_a_caller_with_another_name_than_an_id_is_refused(ask: Any, caller: str) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD, KEY | {"Recarga-Caller": caller})
    assert (reply.status, reply.problem) == (422, "invalid-request")
    assert reply.json["errors"][0] | {"message": ""} == {
        "location": "header",
        "name": "Recarga-Caller",
        "message": "",
    }
