"""Lines of books that agree with each other, by renewal id."""

from __future__ import annotations

from typing import Any

from deploy.local.books.rows import (
    CarrierEffect,
    PaymentLine,
    PspEffect,
    RenewalLine,
    TopUpLine,
    TransferLine,
)

GIB = 2**30


def renewal(renewal_id: str, state: str, *, amount: int | None = 900, flags: str = "") -> RenewalLine:
    return RenewalLine(renewal_id, f"sub-{renewal_id}", state, 4, amount, "USD", flags, 4, 4, state)


def payment(renewal_id: str, state: str, decision: str, **fields: Any) -> PaymentLine:
    line = PaymentLine(
        renewal_id, state, decision, "sandbox", 900, "USD", f"pi-{renewal_id}", False, False, ()
    )
    return line._replace(**fields)


def transfer(renewal_id: str, kind: str, debit: str, credit: str, amount: int = 900) -> TransferLine:
    return TransferLine(renewal_id, kind, debit, credit, amount, "USD")


def top_up(renewal_id: str, state: str, cycle: int | None = None) -> TopUpLine:
    reference = f"tu-{renewal_id}" if state == "applied" else None
    return TopUpLine(
        renewal_id, f"sub-{renewal_id}", state, f"8901{renewal_id}", GIB, "CU-1", reference, cycle
    )


def money(renewal_id: str, effect: str, id_: str, amount: int = 900) -> PspEffect:
    return PspEffect(renewal_id, effect, id_, amount, "USD")


def grant(renewal_id: str) -> CarrierEffect:
    return CarrierEffect(renewal_id, "applied", f"tu-{renewal_id}", f"8901{renewal_id}", GIB, "CU-1")
