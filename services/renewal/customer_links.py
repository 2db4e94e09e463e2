"""Links that let a payer answer one question: signed, good until the answer is due, worth nothing afterwards.

A link names a renewal and the attempt that was asked about. It stands in messages and in mails, so it shows
nothing and does nothing but what it was made for. A JWT with HS256; who holds the secret can make any link.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from shared.contracts.fields import Attempt
from shared.contracts.renewals import CustomerActionRequired

_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "recarga-payers"
_LEAST_SECRET_BYTES: Final = 32
LONGEST_TOKEN: Final = 400
"""Ours have about 250 characters; a longer one is not worth decoding."""


class Link(NamedTuple):
    """What a link is about: the attempt of a renewal that its payer was asked about, until when."""

    renewal_id: UUID
    attempt: int
    until: datetime


class _Claims(BaseModel):
    model_config = ConfigDict(extra="ignore")

    sub: UUID
    attempt: Annotated[Attempt, Field(strict=True)]
    exp: Annotated[int, Field(strict=True, ge=0, lt=2**40)]


class LinkNotGenuine(Exception):
    """We never made this link, or it is not whole."""


class LinkExpired(Exception):
    """The link was good until the instant in the first argument."""


class CustomerLinks:
    """Makes links and reads them. Without a secret it makes none and believes none."""

    def __init__(self, secret: SecretStr | None, address: str, clock: Callable[[], datetime]) -> None:
        """`address` is where payers answer, without a query.

        Raises:
            ValueError: the secret is too short to sign with.
        """
        self._key = None if secret is None else _key(secret)
        self._address = address.rstrip("/")
        self._clock = clock

    def signed(self, question: CustomerActionRequired) -> CustomerActionRequired:
        """The question with the link to answer it; the same question always has the same link."""
        if self._key is None:
            return question
        claims = {
            "aud": _AUDIENCE,
            "sub": str(question.renewal_id),
            "attempt": question.attempt,
            "exp": int(question.action_before.timestamp()),
        }
        token = jwt.encode({"alg": _ALGORITHM}, claims, self._key)
        return question.model_copy(update={"action_url": f"{self._address}?{urlencode({'token': token})}"})

    def read(self, token: str) -> Link:
        """What the link is about.

        Raises:
            LinkNotGenuine: it was not signed by us, or says less than it must.
            LinkExpired: it was, and its time is over.
        """
        if self._key is None or len(token) > LONGEST_TOKEN:
            raise LinkNotGenuine
        rules = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            aud={"essential": True, "value": _AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            read = _Claims.model_validate(claims)
            until = datetime.fromtimestamp(read.exp, UTC)
            rules.validate(claims)
        except ExpiredTokenError:
            raise LinkExpired(until) from None
        except (JoseError, ValidationError, ValueError, UnicodeError):
            raise LinkNotGenuine from None
        return Link(read.sub, read.attempt, until)


def _key(secret: SecretStr) -> OctKey:
    content = secret.get_secret_value()
    if len(content) < _LEAST_SECRET_BYTES:
        raise ValueError(f"the secret that signs payers' links has less than {_LEAST_SECRET_BYTES} bytes")
    return OctKey.import_key(content)
