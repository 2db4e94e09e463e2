"""A PSP with payment intents, as Stripe has them and the sandbox plays them.

One intent per renewal: created without a card (so that its parameters are the same for every attempt),
confirmed with the card's token, cancelled, refunded. Every request carries the Idempotency-Key of its call.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import orjson

from services.payment.domain.calls import Call
from services.payment.domain.capabilities import Capabilities, is_quiet
from services.payment.domain.decline_codes import DO_NOT_TRY_AGAIN, NEVER_AGAIN
from services.payment.domain.outcome import OBJECT_GONE, Kind, Outcome
from services.payment.domain.payment import object_key
from shared.calls.http_client import HttpAnswer, HttpClient, MaySend, NotSent, Unanswered
from shared.clock import Clock

LONGEST_RETRY_AFTER_SECONDS = 86_400
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_NOTHING: dict[str, Any] = {}
Reading = Callable[[Call, HttpAnswer, dict[str, Any]], Outcome]


class Psp:
    """The gateway `name`. Every fault of the network and of the PSP becomes an outcome."""

    def __init__(
        self, name: str, client: HttpClient, capabilities: Capabilities, timeout: timedelta, clock: Clock
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self._client = client
        self._timeout = timeout
        self._clock = clock

    async def create(self, call: Call) -> Outcome:
        """No money moves, so silence is a failure like any other: the next attempt creates it again."""
        body = {
            "amount_minor": call.amount_minor,
            "currency": call.currency,
            "metadata": {"renewal_id": str(call.renewal_id)},
        }
        try:
            answer = await self._post(
                "/v1/payment_intents", body, str(object_key(self.name, call.renewal_id, call.objects))
            )
        except (NotSent, Unanswered):
            return self._outcome(
                call, Kind.FAILED, code="provider_silent", reached_provider=False, is_outage=True
            )
        document = _read(answer)
        reference = _code(document.get("id"), "")
        if answer.status == 200 and reference:
            return self._outcome(call, Kind.CREATED, reference=reference)
        code = _error_code(document) if 400 <= answer.status < 500 else "provider_error"
        return self._failed(call, answer, code)

    async def confirm(self, call: Call) -> Outcome:
        return await self._effect(
            call,
            f"/v1/payment_intents/{call.reference}/confirm",
            {"payment_method": call.token},
            self._confirmed,
        )

    async def void(self, call: Call) -> Outcome:
        return await self._effect(
            call, f"/v1/payment_intents/{call.reference}/cancel", _NOTHING, self._voided
        )

    async def refund(self, call: Call) -> Outcome:
        body = {
            "payment_intent": call.reference,
            "amount_minor": call.amount_minor,
            "metadata": {"renewal_id": str(call.renewal_id), "key": str(call.key)},
        }
        return await self._effect(call, "/v1/refunds", body, self._refunded)

    async def ask(self, call: Call) -> Outcome:
        """The intent's status. "Nothing was done" is believed only when no call can still be on its way."""
        document = await self._get(f"/v1/payment_intents/{call.reference}")
        if isinstance(document, _Nothing):
            return self._unanswered(call, is_outage=document.is_outage)
        settled = self._of_status(call, document)
        if settled is not None:
            return settled
        if document.get("status") not in (
            "requires_payment_method",
            "requires_confirmation",
            "requires_action",
        ):
            return self._outcome(call, Kind.UNKNOWN, code=_code(document.get("status"), "unknown_status"))
        if not self.is_quiet(call):
            return self._outcome(call, Kind.UNKNOWN, code="not_seen_yet")
        if document.get("status") == "requires_action":
            # Also where an error of an earlier attempt is still told.
            return self._outcome(call, Kind.ACTION_REQUIRED)
        error = document.get("last_payment_error")
        if isinstance(error, dict) and error.get("payment_method") == call.token:
            return self._outcome(call, Kind.DECLINED, code=_decline_code(error))
        return self._outcome(call, Kind.NOTHING_FOUND)

    async def ask_refund(self, call: Call) -> Outcome:
        """By the refund's id where it is known, else by our key in the metadata of the intent's refunds."""
        if call.call_reference is not None:
            document = await self._get(f"/v1/refunds/{call.call_reference}")
            if isinstance(document, _Nothing):
                return self._unanswered(call, is_outage=document.is_outage)
            return self._of_refund(call, document)
        listed = await self._get(f"/v1/refunds?payment_intent={call.reference}&limit=100")
        if isinstance(listed, _Nothing):
            return self._unanswered(call, is_outage=listed.is_outage)
        refunds = listed.get("data")
        if not isinstance(refunds, list):
            return self._unanswered(call, is_outage=False)
        for refund in refunds:
            if isinstance(refund, dict) and (refund.get("metadata") or _NOTHING).get("key") == str(call.key):
                return self._of_refund(call, refund)
        if self.is_quiet(call):
            return self._outcome(call, Kind.FAILED, code="nothing_found")
        return self._outcome(call, Kind.UNKNOWN, code="not_seen_yet")

    def ask_when_late(self, may_send: MaySend) -> None:
        """A request that had to wait for its connection asks whether it may still be sent."""
        self._client.ask_when_late(may_send)

    async def close(self) -> None:
        await self._client.close()

    async def _effect(self, call: Call, path: str, body: dict[str, Any], read: Reading) -> Outcome:
        """One request with an effect. On a repeat no refusal counts: the first request may have worked."""
        try:
            answer = await self._post(path, body, str(call.key))
        except NotSent:
            kind = Kind.UNKNOWN if call.was_sent else Kind.FAILED
            return self._outcome(
                call, kind, code="provider_unreachable", reached_provider=call.was_sent, is_outage=True
            )
        except Unanswered:
            return self._unanswered(call, is_outage=True)
        document = _read(answer)
        if answer.status in self.capabilities.refuses_without_effect:
            if call.was_sent:
                out = answer.status >= 500
                return self._outcome(call, Kind.UNKNOWN, code="provider_busy", is_outage=out)
            return self._failed(call, answer, "rate_limited" if answer.status == 429 else "provider_error")
        if answer.status >= 500 or not document:
            code = "provider_error" if document else "garbage"
            return self._outcome(call, Kind.UNKNOWN, code=code, is_outage=answer.status >= 500)
        return read(call, answer, document)

    def _confirmed(self, call: Call, answer: HttpAnswer, document: dict[str, Any]) -> Outcome:
        if answer.status == 200:
            if document.get("status") == "requires_action":
                return self._outcome(call, Kind.ACTION_REQUIRED)
            status = _code(document.get("status"), "garbage")
            return self._of_status(call, document) or self._outcome(call, Kind.UNKNOWN, code=status)
        error = _error(document)
        if answer.status == 402:
            return self._outcome(call, Kind.DECLINED, code=_decline_code(error))
        intent = error.get("payment_intent")
        if isinstance(intent, dict):
            status = _code(intent.get("status"), "unknown_status")
            return self._of_status(call, intent) or self._outcome(call, Kind.UNKNOWN, code=status)
        code = _error_code(document)
        if answer.status == 409 or code == "idempotency_error":
            return self._outcome(call, Kind.UNKNOWN, code=code)
        if call.was_sent:
            return self._outcome(call, Kind.UNKNOWN, code=code)
        if answer.status == 400 and code == "resource_missing":
            return self._outcome(call, Kind.DECLINED, code=code)
        return self._failed(call, answer, code)

    def _voided(self, call: Call, answer: HttpAnswer, document: dict[str, Any]) -> Outcome:
        intent = document if answer.status == 200 else _error(document).get("payment_intent")
        if not isinstance(intent, dict):
            return self._outcome(call, Kind.UNKNOWN, code=_error_code(document))
        # Answered, and not cancelled: the key would only bring this answer back, so it is a known negative.
        status = _code(intent.get("status"), "garbage")
        return self._of_status(call, intent) or self._outcome(call, Kind.FAILED, code=status)

    def _refunded(self, call: Call, answer: HttpAnswer, document: dict[str, Any]) -> Outcome:
        if answer.status == 200:
            return self._of_refund(call, document)
        code = _error_code(document)
        if answer.status == 409 or call.was_sent:
            return self._outcome(call, Kind.UNKNOWN, code=code)
        return self._outcome(call, Kind.REJECTED, code=code)

    def _of_status(self, call: Call, intent: dict[str, Any]) -> Outcome | None:
        """What an intent's status settles, whoever asked."""
        match intent.get("status"):
            case "succeeded":
                return self._outcome(
                    call,
                    Kind.CAPTURED,
                    reference=_code(intent.get("id"), call.reference or ""),
                    amount_minor=call.amount_minor,
                    currency=call.currency,
                )
            case "canceled" if call.operation == "void":
                return self._outcome(call, Kind.VOIDED, reference=call.reference)
            case "canceled":
                return self._outcome(call, Kind.FAILED, code=OBJECT_GONE)
            case _:
                return None

    def _of_refund(self, call: Call, refund: dict[str, Any]) -> Outcome:
        reference = _code(refund.get("id"), "") or None
        match refund.get("status"):
            case "succeeded":
                # By its own word: what is asked for now may be more than was when the refund was made.
                made_minor = refund.get("amount_minor")
                if not isinstance(made_minor, int) or made_minor <= 0:
                    made_minor = call.amount_minor
                refunded = self._outcome(call, Kind.REFUNDED, reference=reference, amount_minor=made_minor)
                return refunded._replace(object_reference=call.reference)
            case "failed" | "canceled":
                code = _code(refund.get("failure_reason"), "refund_failed")
                return self._outcome(call, Kind.FAILED, code=code, reference=reference)
            case _:
                return self._outcome(call, Kind.UNKNOWN, code="pending", reference=reference)

    def _failed(self, call: Call, answer: HttpAnswer, code: str) -> Outcome:
        wait = answer.headers.get("retry-after", "")
        # A number of thousands of digits would be an error to read, not a long wait.
        readable = wait.isascii() and wait.isdigit() and len(wait) < 10
        seconds = min(int(wait), LONGEST_RETRY_AFTER_SECONDS) if readable else None
        out = answer.status >= 500
        return self._outcome(call, Kind.FAILED, code=code, retry_after_seconds=seconds, is_outage=out)

    def _unanswered(self, call: Call, *, is_outage: bool) -> Outcome:
        return self._outcome(call, Kind.UNKNOWN, code="provider_silent", is_outage=is_outage)

    def is_quiet(self, call: Call) -> bool:
        return call.sent_before is None or is_quiet(
            self.capabilities, call.sent_before, self._timeout, self._clock()
        )

    def _outcome(
        self,
        call: Call,
        kind: Kind,
        *,
        reference: str | None = None,
        code: str = "",
        reached_provider: bool = True,
        retry_after_seconds: int | None = None,
        amount_minor: int = 0,
        currency: str = "",
        is_outage: bool = False,
    ) -> Outcome:
        return Outcome(
            call.renewal_id,
            kind,
            self._clock(),
            call.operation,
            call.ordinal,
            call.claim,
            self.name,
            reference,
            code,
            reached_provider,
            retry_after_seconds,
            amount_minor,
            currency,
            is_outage=is_outage,
        )

    async def _post(self, path: str, body: dict[str, Any], key: str) -> HttpAnswer:
        return await self._client.request("POST", path, orjson.dumps(body), {"Idempotency-Key": key})

    async def _get(self, path: str) -> "dict[str, Any] | _Nothing":
        """The document, where there is a usable answer."""
        try:
            answer = await self._client.request("GET", path)
        except (NotSent, Unanswered):
            return _Nothing(is_outage=True)
        document = _read(answer) if answer.status == 200 else {}
        return document or _Nothing(is_outage=answer.status >= 500)


class _Nothing(NamedTuple):
    """No usable answer."""

    is_outage: bool


def _read(answer: HttpAnswer) -> dict[str, Any]:
    """The JSON object of an answer; empty where it is none."""
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _error(document: dict[str, Any]) -> dict[str, Any]:
    error = document.get("error")
    return error if isinstance(error, dict) else {}


def _error_code(document: dict[str, Any]) -> str:
    return _code(_error(document).get("code"), "refused_by_provider")


def _decline_code(error: dict[str, Any]) -> str:
    """The decline's own code, unless the network's advice says more than it does."""
    code = _code(error.get("decline_code") or error.get("code"), "generic_decline")
    is_final = error.get("advice_code") == DO_NOT_TRY_AGAIN and code not in NEVER_AGAIN
    return DO_NOT_TRY_AGAIN if is_final else code


def _code(value: object, otherwise: str) -> str:
    """A code or an id as the contracts take it; whatever else a PSP writes there is not repeated."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else otherwise
