"""Whether a webhook is from whom it says: a shared secret has signed its bytes and its moment."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import SecretStr

from shared.clock import Clock

# Ten digits last until 2286; more would be a moment that no calendar has.
_SIGNATURE = re.compile(r"t=([0-9]{1,10}),v1=([0-9a-f]{64})")

Verdict = Literal["genuine", "stale", "forged"]
"""`stale`: rightly signed, but too long ago, or with a clock that is wrong."""


class Signatures:
    """Checks `t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`. Without a secret nothing is genuine."""

    def __init__(self, secret: SecretStr | None, tolerance: timedelta, clock: Clock) -> None:
        self._secret = secret
        self._tolerance = tolerance
        self._clock = clock

    def is_right(self, header: str | None, body: bytes) -> bool:
        """Whether who holds the secret signed these bytes, not too long ago."""
        return self.verdict(header, body) == "genuine"

    def verdict(self, header: str | None, body: bytes) -> Verdict:
        """Whether it is signed, and lately. How long it takes tells nothing of the secret."""
        found = _SIGNATURE.fullmatch(header or "")
        if found is None or self._secret is None:
            return "forged"
        signed_at = datetime.fromtimestamp(int(found[1]), UTC)
        expected = hmac.new(
            self._secret.get_secret_value().encode(), f"{found[1]}.".encode() + body, hashlib.sha256
        )
        genuine = hmac.compare_digest(expected.hexdigest(), found[2])
        if not genuine:
            return "forged"
        return "genuine" if abs(self._clock() - signed_at) <= self._tolerance else "stale"
