"""What every message has: a topic, a key, a deterministic id. Unknown fields are ignored."""

from typing import ClassVar
from uuid import UUID

import uuid_utils.compat as uuids
from pydantic import BaseModel, ConfigDict

from shared.contracts.fields import (
    AmountMinor,
    Attempt,
    ChargeMinor,
    Count,
    Currency,
    GrantedBytes,
    Id,
    Instant,
    Origin,
    PaymentMethodIds,
    Stacking,
    ValiditySeconds,
)

_EVENTS = UUID("6f0d7a3c-5a38-5d0e-9a55-6d1f2f3b9a10")


class Part(BaseModel):
    """A value inside a message: immutable, strict about types, tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Message(Part):
    """A record on a topic. The class name is the CloudEvents type (`ce_type`)."""

    topic: ClassVar[str]

    @property
    def key(self) -> str:
        """The partition key: everything about one key is read by one consumer."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        """What the message is about (`ce_subject`): the renewal id where there is a renewal."""
        return self.key

    @property
    def event_id(self) -> UUID:
        """The same message always has the same id, so that writing it twice is writing it once."""
        raise NotImplementedError


def deterministic_id(*parts: object) -> UUID:
    """uuid5 over the parts, joined by a character that no part may contain."""
    return uuids.uuid5(_EVENTS, "\x1f".join(map(str, parts)))


class RenewalMessage(Message):
    """A message about one renewal, keyed by its subscription."""

    renewal_id: UUID
    subscription_id: Id
    version: Count
    """The sender's version of that renewal's row: orders what one authority says, and makes the id."""
    attempt: Attempt = 1

    @property
    def key(self) -> str:
        return self.subscription_id

    @property
    def subject(self) -> str:
        return str(self.renewal_id)

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.renewal_id, type(self).__name__, self.version)


class Terms(Part):
    """What the payer agreed to. Travels in every event and command of the renewal and never changes."""

    offering_id: Id
    max_amount_minor: ChargeMinor
    currency: Currency
    payment_method_ids: PaymentMethodIds
    payer_id: Id
    origin: Origin = "customer"
    is_bulk: bool = False
    """Whether a system asked for it among many: no person waits, though one agreed to it."""

    @property
    def is_awaited(self) -> bool:
        """Whether a person waits for it: those go first where a gateway takes not all."""
        return self.origin == "customer" and not self.is_bulk


class Grant(Part):
    """What the top-up gives: fixed when the renewal is priced, so that later steps ask nobody."""

    data_bytes: GrantedBytes
    validity_seconds: ValiditySeconds
    stacking: Stacking = "extend"
    product_code: Id
    """The carrier's own name of what is bought."""


class OnTerms(RenewalMessage):
    """A renewal message that carries the terms."""

    terms: Terms


class Purchase(OnTerms):
    """Terms, price and grant together: all that is needed to capture the payment or apply the top-up."""

    amount_minor: AmountMinor
    currency: Currency
    grant: Grant


class StartsEffect(Purchase):
    """A purchase that begins something outside. Checked once, on acceptance: too late starts nothing."""

    act_before: Instant


class State(Message):
    """The whole current state of one thing; a higher version replaces a lower one."""

    version: Count

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.key, type(self).__name__, self.version)
