"""The carrier's HTTP API as the sandbox speaks it (see deploy/sandbox): top-ups by ICCID and reference.

The reference is the renewal id. It is not unique at the carrier: only keys and questions keep it single.
"""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson

from services.provisioning.topups.domain.findings import Finding
from services.provisioning.topups.domain.top_up import Order
from shared.calls.http_client import HttpAnswer, HttpClient, NotSent, Unanswered

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_LONGEST_RETRY_AFTER: Final = 3_600
_NO_ACCESS: Final = frozenset({401, 403, 405, 407})
_UNREADABLE: Final = Finding("unknown", "answer_unreadable")
_NO_ANSWER: Final = Finding("unknown", "no_answer", is_outage=True)
_NOTHING: Final = Finding("not_found", "not_found")


class SandboxCarrier:
    """One carrier over HTTP."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def apply(self, order: Order, key: UUID) -> Finding:
        if order.grant is None or order.iccid is None:
            return Finding("rejected", "nothing_to_apply")
        grant = order.grant
        body = orjson.dumps(
            {
                "iccid": order.iccid,
                "reference": str(order.renewal_id),
                "data_bytes": grant.data_bytes,
                "validity_seconds": grant.validity_seconds,
                "stacking": grant.stacking,
                "product_code": grant.product_code,
            }
        )
        answer = await self._post("/v1/topups", body, key)
        return answer if isinstance(answer, Finding) else _applied(answer, order)

    async def cancel(self, order: Order, key: UUID) -> Finding:
        body = orjson.dumps({"reference": str(order.renewal_id)})
        answer = await self._post("/v1/topup-cancellations", body, key)
        return answer if isinstance(answer, Finding) else _cancelled(answer, order)

    async def find(self, order: Order) -> Finding:
        answer = await self._get(f"/v1/topups?reference={order.renewal_id}")
        if isinstance(answer, Finding):
            return answer
        document = _object(answer.body)
        if answer.status != 200 or document is None:
            return _no_use(answer)
        items = document.get("data")
        return _UNREADABLE if not isinstance(items, list) else _found(items, order)

    async def look_up(self, order: Order, provider_reference: str) -> Finding:
        if not _CODE.fullmatch(provider_reference):
            return await self.find(order)
        answer = await self._get(f"/v1/topups/{provider_reference}")
        if isinstance(answer, Finding):
            return answer
        document = _object(answer.body)
        if answer.status != 200 or document is None:
            return _no_use(answer)
        return _status(document, order)

    async def _post(self, path: str, body: bytes, key: UUID) -> HttpAnswer | Finding:
        try:
            return await self._client.request("POST", path, body, {"idempotency-key": str(key)})
        except NotSent:
            return Finding("refused", "no_connection", reached_provider=False, is_outage=True)
        except Unanswered:
            return _NO_ANSWER

    async def _get(self, path: str) -> HttpAnswer | Finding:
        try:
            return await self._client.request("GET", path)
        except (NotSent, Unanswered):
            return _NO_ANSWER


def _applied(answer: HttpAnswer, order: Order) -> Finding:
    document = _object(answer.body)
    if document is None:
        return _no_use(answer)
    if answer.status in (200, 201):
        return _status(document, order)
    code = _code(document)
    match answer.status:
        case 409 if code == "topup_cancelled":
            return Finding("called_off", code)
        case 422:
            return Finding("rejected", code or "rejected")
        case status if status in _NO_ACCESS:
            return Finding("refused", code or "no_access")
        case _:
            return _no_use(answer, code)


def _cancelled(answer: HttpAnswer, order: Order) -> Finding:
    document = _object(answer.body)
    if document is None:
        return _no_use(answer)
    if answer.status == 200 and document.get("status") == "cancelled":
        return Finding("called_off", "topup_cancelled")
    if answer.status == 409 and _code(document) == "topup_already_applied":
        topup = document["error"].get("topup")
        return _status(topup, order) if isinstance(topup, dict) else _UNREADABLE
    return _no_use(answer, _code(document))


def _no_use(answer: HttpAnswer, code: str | None = None) -> Finding:
    """An answer that does not say what became of the top-up."""
    retry_after = _retry_after(answer)
    if answer.status == 429:
        # Turned away at the door: it did nothing, and it spends none of the attempts.
        return Finding("refused", "rate_limited", reached_provider=False, retry_after_seconds=retry_after)
    if answer.status >= 500:
        # 501 is the answer of a carrier that is well and cannot do what it is asked.
        out = answer.status != HTTPStatus.NOT_IMPLEMENTED
        return Finding("unknown", "carrier_unavailable", retry_after_seconds=retry_after, is_outage=out)
    if answer.status >= 400:
        return Finding("unknown", code or f"status_{answer.status}", retry_after_seconds=retry_after)
    return _UNREADABLE


def _found(items: list[Any], order: Order) -> Finding:
    """The best of several: one that is applied counts, whichever attempt made it.

    Failed ones may be of an earlier attempt, so they say nothing about this one.
    """
    findings = [_status(item, order) if isinstance(item, dict) else _UNREADABLE for item in items]
    for kind in ("applied", "processing", "unknown"):
        for finding in findings:
            if finding.kind == kind:
                return finding
    return _NOTHING


def _status(topup: dict[str, Any], order: Order) -> Finding:
    reference = topup.get("id")
    named = isinstance(reference, str) and _CODE.fullmatch(reference) is not None
    if not named or topup.get("reference") != str(order.renewal_id):
        return _UNREADABLE
    match topup.get("status"):
        case "completed":
            expires_at = _instant(topup.get("expires_at"))
            return Finding("applied", provider_reference=reference, expires_at=expires_at)
        case "processing":
            return Finding("processing", "processing", provider_reference=reference)
        case "failed":
            return Finding("failed", "carrier_failed", provider_reference=reference)
        case "cancelled":
            return Finding("called_off", "topup_cancelled", provider_reference=reference)
        case _:
            return _UNREADABLE


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _code(document: dict[str, Any]) -> str | None:
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _instant(text: object) -> datetime | None:
    """None where the carrier does not say: then the validity that was bought counts."""
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


def _retry_after(answer: HttpAnswer) -> int | None:
    text = answer.headers.get("retry-after", "")
    return (
        min(int(text), _LONGEST_RETRY_AFTER) if text.isascii() and text.isdigit() and len(text) < 10 else None
    )
