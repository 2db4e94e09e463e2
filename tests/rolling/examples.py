"""Of the types that a recorded run does not bring about: this version's golden examples, as it sends them.

A run without faults at the PSP or the carrier leaves no refund and no failed top-up in Kafka. So that an old
refund is read too, what is missing is made of tests/contracts/examples by the same version's own classes and
envelope. Only the trace is made up, out of the message's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from shared.contracts.message import Message
from shared.contracts.registry import MESSAGES
from shared.messaging.envelope import cloud_events_time, enclose
from tests.rolling.recorded import KeptRecord

EXAMPLES = Path(__file__).parents[1] / "contracts" / "examples"

OTHERS = "rolling"
"""Whom the recorded run names as the source of what other systems write; those send no trace."""

_SOURCES = {
    "renewals.v1": "recarga/renewal",
    "prices.v1": "recarga/catalog",
    "payments.v1": "recarga/payment",
    "topups.v1": "recarga/provisioning",
    "payment-commands.v1": "recarga/renewal",
    "topup-commands.v1": "recarga/renewal",
    "quotas.v1": "recarga/usage",
    "devices.v1": "recarga/usage",
    "subscriptions.v1": "recarga/provisioning",
    "customers.v1": OTHERS,
    "payment-methods.v1": "recarga/payment",
    "offerings.v1": "recarga/catalog",
    "renewal-rules.v1": "recarga/renewal",
    "renewal-requests.v1": OTHERS,
    "usage-records.v1": OTHERS,
}


def types() -> list[str]:
    """Every type that this version writes or reads, as "payments.v1/PaymentCaptured", sorted."""
    return sorted(_named(message) for message in MESSAGES.values())


def unplayed(recorded: Iterable[KeptRecord], now: datetime) -> list[KeptRecord]:
    """One record of each type of which the run left none, sent at `now` (aware UTC); ordered as `types`."""
    played = {f"{record.topic}/{record.type}" for record in recorded}
    missing = (message for message in MESSAGES.values() if _named(message) not in played)
    return [_sent(message, now) for message in sorted(missing, key=_named)]


def _named(message: type[Message]) -> str:
    return f"{message.topic}/{message.__name__}"


def _sent(kind: type[Message], now: datetime) -> KeptRecord:
    message = kind.model_validate_json((EXAMPLES / f"{_named(kind)}.json").read_bytes())
    source = _SOURCES[kind.topic]
    trace = message.event_id.hex
    envelope = enclose(message, None if source == OTHERS else f"00-{trace}-{trace[:16]}-01")
    headers = envelope.headers(source.encode(), cloud_events_time(now))
    return KeptRecord(kind.topic, envelope.type, envelope.key.encode(), envelope.payload, tuple(headers))
