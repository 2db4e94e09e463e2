"""`payment-methods.v1` (compacted): every way to pay, without its token."""

from typing import ClassVar, Literal

from shared.contracts.fields import Id, PaymentMethodKind
from shared.contracts.message import State


class PaymentMethodChanged(State):
    """A way to pay, without its token."""

    topic: ClassVar[str] = "payment-methods.v1"
    payment_method_id: Id
    payer_id: Id
    kind: PaymentMethodKind
    status: Literal["active", "expired", "removed"]

    @property
    def key(self) -> str:
        return self.payment_method_id
