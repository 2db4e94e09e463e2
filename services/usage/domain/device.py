"""One eSIM, one device: usage from another one than the bound is told."""

from datetime import datetime
from typing import Final

from services.usage.domain.balance import Balance

_SAME_DIGITS: Final = 14
"""TAC and serial number (3GPP TS 23.003, 6.2.1); the last digit is a check digit, or zero."""


def offended_binding(balance: Balance, imei: str | None, started_at: datetime) -> str | None:
    """The bound IMEI, where the usage came from another device that nobody was told of yet; else None.

    What began before the binding was another device's by right.
    """
    bound = balance.bound_imei
    if imei is None or bound is None or imei in (bound, balance.foreign_imei):
        return None
    if imei[:_SAME_DIGITS] == bound[:_SAME_DIGITS]:
        return None
    if balance.bound_at is not None and started_at < balance.bound_at:
        return None
    return bound


def offended_imei(balance: Balance) -> str | None:
    """The bound IMEI, where another device was reported against it; a new binding has taken the mark away."""
    return None if balance.foreign_imei is None else balance.bound_imei
