"""What each answer of the carrier's HTTP API means for a top-up."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from services.provisioning.topups.domain.attempt import idempotency_key
from services.provisioning.topups.domain.findings import Finding
from services.provisioning.topups.gateways.sandbox import SandboxCarrier
from shared.calls.http_client import HttpAnswer, HttpClient, NotSent, Unanswered
from tests.unit.provisioning.given import ORDER, RENEWAL

KEY = idempotency_key(RENEWAL, "apply", 1)
EXPIRES_AT = datetime(2026, 12, 1, tzinfo=UTC)


class Recorded(HttpClient):
    """Gives one answer, and remembers the request it was given for."""

    def __init__(self, answer: HttpAnswer | Exception) -> None:
        self.answer = answer
        self.asked: tuple[str, str, Any, Mapping[str, str] | None] | None = None

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        self.asked = (method, path, None if body is None else orjson.loads(body), headers)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def topup(status: str = "completed", **more: object) -> dict[str, object]:
    return {
        "id": "tu_1",
        "status": status,
        "reference": str(RENEWAL),
        "expires_at": "2026-12-01T00:00:00Z",
    } | more


def answer(status: int, document: object, **headers: str) -> HttpAnswer:
    return HttpAnswer(
        status, {name.replace("_", "-"): text for name, text in headers.items()}, orjson.dumps(document)
    )


def error(status: int, code: str, **more: object) -> HttpAnswer:
    return answer(status, {"error": {"type": "invalid_request_error", "code": code, "message": "no"} | more})


APPLIED = Finding("applied", provider_reference="tu_1", expires_at=EXPIRES_AT)
UNREADABLE = Finding("unknown", "answer_unreadable")
OUT_OF_ORDER = Finding("unknown", "carrier_unavailable", is_outage=True)
NOT_REACHED = Finding("refused", "no_connection", reached_provider=False, is_outage=True)
NO_ANSWER = Finding("unknown", "no_answer", is_outage=True)


@pytest.mark.parametrize(
    ("answered", "finding"),
    [
        (answer(201, topup()), APPLIED),
        (answer(200, topup()), APPLIED),
        (answer(201, topup(expires_at=None)), Finding("applied", provider_reference="tu_1")),
        (answer(201, topup(expires_at="soon")), Finding("applied", provider_reference="tu_1")),
        (answer(201, topup("processing")), Finding("processing", "processing", provider_reference="tu_1")),
        (answer(201, topup("failed")), Finding("failed", "carrier_failed", provider_reference="tu_1")),
        (answer(201, topup("asleep")), UNREADABLE),
        (answer(201, topup(id=None)), UNREADABLE),
        (answer(201, topup(id="<script>")), UNREADABLE),
        (answer(201, topup(reference="another")), UNREADABLE),
        (answer(201, ["a", "list"]), UNREADABLE),
        (HttpAnswer(201, {}, b"<html>\xff"), UNREADABLE),
        (error(422, "product_unavailable"), Finding("rejected", "product_unavailable")),
        (answer(422, {"error": "text"}), Finding("rejected", "rejected")),
        (error(422, "not a code!"), Finding("rejected", "rejected")),
        (error(409, "topup_cancelled"), Finding("called_off", "topup_cancelled")),
        (error(409, "idempotency_key_in_use"), Finding("unknown", "idempotency_key_in_use")),
        (error(400, "idempotency_error"), Finding("unknown", "idempotency_error")),
        (error(403, "forbidden"), Finding("refused", "forbidden")),
        (error(500, "internal"), OUT_OF_ORDER),
        (HttpAnswer(502, {}, b"bad gateway"), OUT_OF_ORDER),
        (
            answer(429, {"error": {"code": "rate_limit"}}, retry_after="7"),
            Finding("refused", "rate_limited", reached_provider=False, retry_after_seconds=7),
        ),
        (
            answer(503, {}, retry_after="99999"),
            OUT_OF_ORDER._replace(retry_after_seconds=3_600),
        ),
        (
            answer(429, {}, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
            Finding("refused", "rate_limited", reached_provider=False),
        ),
        (NotSent("refused"), NOT_REACHED),
        (Unanswered("time-out"), NO_ANSWER),
    ],
)
async def test_what_an_answer_to_a_top_up_means(answered: HttpAnswer | Exception, finding: Finding) -> None:
    client = Recorded(answered)
    assert await SandboxCarrier(client).apply(ORDER, KEY) == finding
    assert client.asked == (
        "POST",
        "/v1/topups",
        {
            "iccid": ORDER.iccid,
            "reference": str(RENEWAL),
            "data_bytes": 2**30,
            "validity_seconds": 86_400,
            "stacking": "extend",
            "product_code": "cu1",
        },
        {"idempotency-key": str(KEY)},
    )


async def test_what_lacks_the_grant_is_never_sent() -> None:
    client = Recorded(answer(201, topup()))
    finding = await SandboxCarrier(client).apply(ORDER._replace(grant=None), KEY)
    assert (finding.kind, client.asked) == ("rejected", None)


@pytest.mark.parametrize(
    ("answered", "finding"),
    [
        (answer(200, {"status": "cancelled"}), Finding("called_off", "topup_cancelled")),
        (answer(200, {"status": "perhaps"}), UNREADABLE),
        (error(409, "topup_already_applied", topup=topup()), APPLIED),
        (error(409, "topup_already_applied"), UNREADABLE),
        (error(501, "cancel_topup_unsupported"), Finding("unknown", "carrier_unavailable")),
        (NotSent("refused"), NOT_REACHED),
        (Unanswered("time-out"), NO_ANSWER),
    ],
)
async def test_what_an_answer_to_a_cancellation_means(
    answered: HttpAnswer | Exception, finding: Finding
) -> None:
    assert await SandboxCarrier(Recorded(answered)).cancel(ORDER, KEY) == finding


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (answer(200, {"data": []}), "not_found"),
        (answer(200, {"data": [topup("failed"), topup("cancelled")]}), "not_found"),
        (answer(200, {"data": [topup("failed"), topup("processing")]}), "processing"),
        (answer(200, {"data": [topup("processing"), topup()]}), "applied"),
        (answer(200, {"data": [topup(reference="another")]}), "unknown"),
        (answer(200, {"data": "none"}), "unknown"),
        (answer(501, {}), "unknown"),
        (NotSent("refused"), "unknown"),
        (Unanswered("time-out"), "unknown"),
    ],
)
async def test_what_a_search_by_reference_means(answered: HttpAnswer | Exception, kind: str) -> None:
    assert (await SandboxCarrier(Recorded(answered)).find(ORDER)).kind == kind


@pytest.mark.parametrize(
    ("answered", "kind"),
    [
        (answer(200, topup()), "applied"),
        (answer(200, topup("failed")), "failed"),
        (answer(200, topup("cancelled")), "called_off"),
        (error(404, "resource_missing"), "unknown"),
    ],
)
async def test_what_has_become_of_a_known_one(answered: HttpAnswer, kind: str) -> None:
    assert (await SandboxCarrier(Recorded(answered)).look_up(ORDER, "tu_1")).kind == kind


async def test_a_reference_that_is_no_code_is_never_put_into_a_path() -> None:
    client = Recorded(answer(200, {"data": []}))
    await SandboxCarrier(client).look_up(ORDER, "../admin?x=")
    assert client.asked is not None
    assert client.asked[1] == f"/v1/topups?reference={RENEWAL}"
