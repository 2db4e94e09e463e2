"""Signed local tokens that say who an operator is, until there is sign-in: a name, a role, an expiry.

A JWT with HS256. Whoever can read the secret can be anybody: it is for one machine, not for a company.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, NamedTuple

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ConfigDict, SecretStr, StringConstraints, TypeAdapter, ValidationError

Role = Literal[
    "viewer",  # looks
    "operator",  # looks, acts, proposes, approves what others proposed
]

# Lower case only: Ana must not be a second person beside ana. Two names and a colon fit into an Id.
OperatorName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,30}$")]

LONGEST_LIFE: Final = timedelta(days=7)
_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "recarga-operators"
_LEAST_SECRET_BYTES: Final = 32
_NAME: Final[TypeAdapter[str]] = TypeAdapter(OperatorName)


class Operator(NamedTuple):
    """Who asks, as a token of ours says."""

    name: str
    role: Role


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    sub: OperatorName
    role: Role


class TokenRefused(Exception):
    """The token says nothing that may be believed; the message says why."""


def sign(secret: SecretStr, name: str, role: Role, now: datetime, life: timedelta) -> str:
    """A token for that operator, believed until `now + life`.

    Raises:
        ValueError: the name is none (a letter, then letters, digits and `._-`, all small), the life is not
            between nothing and seven days, or the secret is too short to sign with.
    """
    try:
        _NAME.validate_python(name)
    except ValidationError:
        raise ValueError(
            f"{name!r} is no operator's name: a small letter, then up to 30 small letters, digits and ._-"
        ) from None
    if not timedelta(0) < life <= LONGEST_LIFE:
        raise ValueError(f"a token lives for more than nothing and at most {LONGEST_LIFE.days} days")
    claims = {
        "aud": _AUDIENCE,
        "sub": name,
        "role": role,
        "iat": int(now.timestamp()),
        "exp": int((now + life).timestamp()),
    }
    return jwt.encode({"alg": _ALGORITHM}, claims, _key(secret))


def _key(secret: SecretStr) -> OctKey:
    content = secret.get_secret_value()
    if len(content) < _LEAST_SECRET_BYTES:
        raise ValueError(f"the secret that signs operators' tokens has less than {_LEAST_SECRET_BYTES} bytes")
    return OctKey.import_key(content)


class Tokens:
    """Reads tokens. Without a secret none is believed."""

    def __init__(self, secret: SecretStr | None, clock: Callable[[], datetime]) -> None:
        self._key = None if secret is None else _key(secret)
        self._clock = clock

    def read(self, token: str) -> Operator:
        """Who it names.

        Raises:
            TokenRefused: it was not signed by us, is over, or says less than it must.
        """
        if self._key is None:
            raise TokenRefused(
                "This process has no secret to check tokens with (RECARGA_OPERATOR_SECRET_FILE)."
            )
        rules = jwt.JWTClaimsRegistry(
            now=int(self._clock().timestamp()),
            aud={"essential": True, "value": _AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            rules.validate(claims)
            read = _Claims.model_validate(claims)
        except ExpiredTokenError:
            over = datetime.fromtimestamp(int(claims["exp"]), UTC)
            raise TokenRefused(f"The operator's token was good until {over:%Y-%m-%d %H:%M} UTC.") from None
        except (JoseError, ValidationError, ValueError, UnicodeError):
            raise TokenRefused("The operator's token was not signed with this stack's secret.") from None
        return Operator(read.sub, read.role)
