"""`renewal-requests.v1`: bulk entry for other systems. Same checks as over HTTP."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.fields import ChargeMinor, Currency, Id, Instant, PaymentMethodIds
from shared.contracts.message import Message, deterministic_id


class RequestRenewal(Message):
    """Renew this subscription. `request_id` is the caller's: the same one is the same request."""

    topic: ClassVar[str] = "renewal-requests.v1"
    caller: Id
    request_id: Id
    subscription_id: Id
    offering_id: Id
    expected_amount_minor: ChargeMinor
    currency: Currency
    payment_method_ids: PaymentMethodIds
    payer_id: Id | None = None
    act_before: Instant

    @property
    def key(self) -> str:
        return self.subscription_id

    @property
    def event_id(self) -> UUID:
        return deterministic_id(self.caller, self.request_id, "RequestRenewal")
