"""What the house's HTTP application answers when all is well, and when the service itself is not."""

import io
import json
from typing import Any

import pytest
from prometheus_client import REGISTRY

from shared.observability import tracing

KEY = {"Idempotency-Key": "k-1"}
GOOD: dict[str, Any] = {"name": "p-1", "amount_minor": 5}


def observed(**labels: str) -> float:
    name = "recarga_http_request_duration_seconds_count"
    return REGISTRY.get_sample_value(name, {"service": "parcels", **labels}) or 0.0


async def test_headers_reach_the_route(ask: Any) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD, {"Idempotency-Key": "k-1", "Recarga-Caller": "crm"})
    assert reply.status == 202
    assert (reply.json["key"], reply.json["caller"]) == ("k-1", "crm")


@pytest.mark.parametrize("key", ["k-1", '"k-1"', " k-1 "])
async def test_a_quoted_key_is_the_same_key(ask: Any, key: str) -> None:
    assert (await ask("POST", "/v1/parcels", GOOD, {"Idempotency-Key": key})).json["key"] == "k-1"


async def test_a_request_without_a_key_is_told_to_send_one(ask: Any) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD)
    assert (reply.status, reply.problem) == (400, "idempotency-key-missing")


@pytest.mark.parametrize("key", ["", '""', "two words", "x" * 256, "clé"])
async def test_a_key_that_is_not_visible_ascii_is_refused(ask: Any, key: str) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD, {"Idempotency-Key": key})
    assert (reply.status, reply.problem) == (422, "invalid-request")


async def test_the_callers_trace_goes_on(ask: Any) -> None:
    traceparent = tracing.new()
    reply = await ask("POST", "/v1/parcels", GOOD, KEY | {"traceparent": traceparent})
    given, seen = tracing.parse(traceparent), tracing.parse(reply.json["traceparent"])
    assert given is not None
    assert seen is not None
    assert seen.trace_id == given.trace_id
    assert seen.span_id != given.span_id


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01"])
async def test_an_invalid_trace_is_replaced_by_a_new_one(ask: Any, traceparent: str) -> None:
    reply = await ask("POST", "/v1/parcels", GOOD, KEY | {"traceparent": traceparent})
    assert tracing.parse(reply.json["traceparent"]) is not None


async def test_a_problem_raised_by_a_route_keeps_its_own_members(ask: Any) -> None:
    parcel_id = "7f0c2b1e-1111-4222-8333-444455556666"
    reply = await ask("GET", f"/v1/parcels/{parcel_id}")
    assert (reply.status, reply.problem) == (404, "parcel-not-found")
    assert reply.json["title"] == "Parcel not found"
    assert reply.json["parcel_id"] == parcel_id
    assert reply.json["instance"] == f"/v1/parcels/{parcel_id}"


async def test_a_failure_is_told_by_reference_only(ask: Any, logged: io.BytesIO) -> None:
    reply = await ask("GET", "/v1/parcels/broken")
    assert (reply.status, reply.problem) == (500, "internal-error")
    assert len(reply.json["reference"]) == 16
    assert b"KeyError" not in reply.body
    assert b"4242" not in reply.body
    line = json.loads(logged.getvalue().splitlines()[-1])
    assert (line["reference"], line["error_type"]) == (reply.json["reference"], "KeyError")
    assert (line["route"], line["service"]) == ("/v1/parcels/broken", "parcels")


async def test_what_does_not_answer_in_time_is_unavailable_and_says_when_to_come_back(ask: Any) -> None:
    reply = await ask("GET", "/v1/parcels/slow")
    assert (reply.status, reply.problem) == (503, "unavailable")
    assert reply.headers["retry-after"] == "2"


async def test_requests_are_measured_by_route_and_not_by_path(ask: Any) -> None:
    route = {"route": "/v1/parcels/{parcel_id}", "method": "GET", "status_class": "4xx"}
    stray = {"route": "unmatched", "method": "other", "status_class": "4xx"}
    before = observed(**route), observed(**stray)
    await ask("GET", "/v1/parcels/7f0c2b1e-1111-4222-8333-444455556666")
    await ask("PROPFIND", "/nowhere/at/all")
    assert (observed(**route), observed(**stray)) == (before[0] + 1, before[1] + 1)


async def test_metrics_are_served_as_prometheus_text(ask: Any) -> None:
    await ask("GET", "/health/live")
    reply = await ask("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")
    assert b"recarga_http_request_duration_seconds_bucket" in reply.body
    assert b"process_cpu_seconds_total" in reply.body


async def test_a_service_is_ready_while_all_its_components_are(
    ask: Any, components: list[tuple[str, bool, str]]
) -> None:
    assert (await ask("GET", "/health/ready")).status == 200
    components[1] = ("queue", False, "no answer within 2 s")
    reply = await ask("GET", "/health/ready")
    assert (reply.status, reply.problem) == (503, "not-ready")
    assert "queue" in reply.json["detail"]
    assert reply.json["components"][1] == {
        "component": "queue",
        "ok": False,
        "detail": "no answer within 2 s",
    }
    assert (await ask("GET", "/health/live")).status == 200


async def test_the_openapi_document_names_problems_and_the_required_key(ask: Any) -> None:
    document = (await ask("GET", "/openapi.json")).json
    operation = document["paths"]["/v1/parcels"]["post"]
    assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    assert "422" not in operation["responses"]
    assert {"Idempotency-Key": True}.items() <= {
        parameter["name"]: parameter["required"] for parameter in operation["parameters"]
    }.items()
    assert "/metrics" not in document["paths"]


async def test_the_documentation_needs_nothing_from_elsewhere(ask: Any) -> None:
    reply = await ask("GET", "/docs")
    page = reply.body.decode()
    assert reply.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "<script" not in page
    assert 'name="viewport"' in page
    assert "Parcels &amp; &lt;what&gt; is in them." in page
    assert all(path in page for path in ("/v1/parcels", "/v1/parcels/bulk", "/v1/parcels/{parcel_id}"))
    assert "amount_minor" in page
    assert "at most 1000000000000" in page


async def test_each_item_of_a_bulk_request_is_judged_by_itself(ask: Any) -> None:
    items = [GOOD, {"name": "p-2"}, GOOD | {"name": "taken"}, 7, GOOD | {"amount_minor": True}]
    reply = await ask("POST", "/v1/parcels/bulk", {"items": items})
    assert reply.status == 200
    assert reply.json["accepted"] == 1
    assert [
        (refused["index"], refused["problem"]["type"].rsplit(":", 1)[1]) for refused in reply.json["refused"]
    ] == [
        (1, "invalid-request"),
        (2, "parcel-exists"),
        (3, "invalid-request"),
        (4, "invalid-request"),
    ]
    assert reply.json["refused"][0]["problem"]["errors"][0]["pointer"] == "/amount_minor"


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_bulk_request_holds_one_to_a_thousand_items(ask: Any, count: int) -> None:
    reply = await ask("POST", "/v1/parcels/bulk", {"items": [7] * count})
    assert (reply.status, reply.problem) == (422, "invalid-request")
