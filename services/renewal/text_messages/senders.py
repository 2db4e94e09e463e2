"""Which SMS gateways may bring messages, and how each proves that a message is its own."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from pydantic import SecretStr

from services.renewal.text_messages import metrics
from shared.clock import Clock
from shared.http.problems import Problem
from shared.http.signatures import Signatures
from shared.observability.logging import get_logger

MAX_MESSAGE_BYTES = 16_384
_log = get_logger(__name__)


class Senders:
    """The gateways with their secrets. One without a secret does not exist: its address answers 404."""

    def __init__(self, secrets: Mapping[str, SecretStr], tolerance: timedelta, clock: Clock) -> None:
        self._secrets = dict(secrets)
        self._signatures = {name: Signatures(secret, tolerance, clock) for name, secret in secrets.items()}

    def check(self, gateway: str, signature: str | None, body: bytes) -> None:
        """Lets through what the gateway has signed lately.

        Raises:
            Problem: there is no such gateway, or the message is not its own, or too old, or too large.
        """
        known = self._signatures.get(gateway)
        if known is None:
            raise _unknown()
        if len(body) > MAX_MESSAGE_BYTES:
            metrics.replies("too_large").inc()
            raise _too_large()
        verdict = known.verdict(signature, body)
        if verdict != "genuine":
            metrics.replies(verdict).inc()
            _log.warning("text_message_refused", reason=verdict, size_bytes=len(body))
            raise _forged() if verdict == "forged" else _stale()

    def fingerprint(self, gateway: str, msisdn: str, text: str) -> bytes:
        """32 bytes, equal exactly where number and text are. Keyed: a number could be guessed from less."""
        secret = self._secrets[gateway].get_secret_value().encode()
        return hmac.new(secret, f"kept\x1f{msisdn}\x1f{text}".encode(), hashlib.sha256).digest()


def _unknown() -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="text-message-gateway-unknown",
        title="There is no such gateway",
        detail="No secret is configured for a gateway of this name, so nothing was read. Compare the address "
        "with RECARGA_TEXT_MESSAGE_SECRET_FILES.",
    )


def _forged() -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        type="text-message-signature-invalid",
        title="The message is not signed by its gateway",
        detail="The header Recarga-Signature is missing, or wrong for this body, so it was not read. "
        "Sign the exact bytes with the secret that both sides hold.",
    )


def _stale() -> Problem:
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        type="text-message-signature-too-old",
        title="The message was signed too long ago",
        detail="The moment in Recarga-Signature is too far from now, so the message was not read. "
        "Sign it anew whenever it is sent, and set the clock.",
    )


def _too_large() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        type="text-message-too-large",
        title="The message is too large",
        detail=f"A message has at most {MAX_MESSAGE_BYTES} bytes, so this one was not read.",
    )
