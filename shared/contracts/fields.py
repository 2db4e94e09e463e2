"""The field types that messages and HTTP bodies share: one definition, one range, one error."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from shared.contracts.checks import eid_is_valid, luhn_is_valid

# A number above these is a mistake or an attack, never business: it is refused where it enters.
MAX_AMOUNT_MINOR = 10**12
MAX_BYTES = 2**50  # one pebibyte
MAX_VALIDITY_SECONDS = int(timedelta(days=3660).total_seconds())
MAX_PAYMENT_METHODS = 8

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")]
"""An identifier chosen by its owner: 1 to 64 of letters, digits and `._:-`."""

AmountMinor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]
"""Money in minor units of its currency; zero allowed."""

ChargeMinor = Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)]
"""Money in minor units that somebody pays: at least 1."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 code, upper case."""

Bytes = Annotated[int, Field(ge=0, le=MAX_BYTES)]
GrantedBytes = Annotated[int, Field(ge=1, le=MAX_BYTES)]
ValiditySeconds = Annotated[int, Field(ge=1, le=MAX_VALIDITY_SECONDS)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Percent = Annotated[int, Field(ge=1, le=100)]
AheadSeconds = Annotated[int, Field(ge=1, le=int(timedelta(days=31).total_seconds()))]
"""How long before something happens somebody wants to hear of it."""
Attempt = Annotated[int, Field(ge=1, le=2**31 - 1)]
Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
"""Prose of at most 500 characters; without NUL, which PostgreSQL cannot store."""

Url = Annotated[str, StringConstraints(max_length=500, pattern=r"^https?://[!-~]+$")]
"""An absolute address, in visible ASCII."""

PaymentMethodIds = Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_PAYMENT_METHODS)]
"""Ways to pay, in the order in which they are tried."""

Instant = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), le=datetime(9999, 12, 30, tzinfo=UTC)),
]
"""A moment with its offset. Outside these years a conversion to UTC overflows: refused where it enters."""

Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2 code, upper case."""


def _iccid(value: str) -> str:
    if not luhn_is_valid(value):
        raise ValueError("the last digit of the ICCID does not match: compare it with the eSIM profile")
    return value


def _imei(value: str) -> str:
    if not luhn_is_valid(value):
        raise ValueError("the last digit of the IMEI does not match: dial *#06# on the device to read it")
    return value


def _eid(value: str) -> str:
    if not eid_is_valid(value):
        raise ValueError("the check digits of the EID do not match: read it in the device's settings")
    return value


Iccid = Annotated[str, StringConstraints(pattern=r"^89[0-9]{16,18}$"), AfterValidator(_iccid)]
"""ITU-T E.118: 18 to 20 digits beginning with 89, the last one a Luhn digit."""

Imei = Annotated[str, StringConstraints(pattern=r"^[0-9]{15}$"), AfterValidator(_imei)]
"""3GPP TS 23.003: 15 digits, the last one a Luhn digit; the first 8 are the TAC."""

Eid = Annotated[str, StringConstraints(pattern=r"^[0-9]{32}$"), AfterValidator(_eid)]
"""GSMA SGP.02: 32 digits, checked by ISO 7064 MOD 97-10."""

Msisdn = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
"""ITU-T E.164: `+`, the country code and the number, 7 to 15 digits together."""

Origin = Literal["customer", "rule"]
"""Who began the renewal: a person (CIT) or a rule on standing consent (MIT)."""

Stacking = Literal["extend", "queue", "replace"]
"""What a top-up does to what is left: adds to it, waits behind it, or takes its place."""

SubscriptionStatus = Literal["active", "suspended", "expired", "terminated"]
DeclineClass = Literal["soft", "hard", "needs_customer"]
PaymentMethodKind = Literal["card", "paypal", "wallet"]
