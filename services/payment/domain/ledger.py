"""Double entry: every transfer names the account it debits and the one it credits, so all sum to zero.

    psp:<gateway>   what a PSP owes us (debit)          held      captured, not yet earned (credit)
    wallet:<payer>  what we owe a payer (credit)        applied   earned: the top-up is on the eSIM (credit)
    deposits        what payers paid in (debit)         surplus   found, owed back (credit)
                                                        disputed  taken back by the bank, undecided (credit)

captured = applied + refunded + held + disputed, per currency: every capture credits `held`, and money leaves
held only for applied, for disputed, or back to where it came from. A transfer's id follows from what it is
about, so writing it twice is writing it once.
"""

from uuid import UUID

from services.payment.domain.payment import WALLET, Payment, Surplus, Transfer
from shared.contracts.message import deterministic_id

HELD, APPLIED, SURPLUS, DISPUTED, DEPOSITS = "held", "applied", "surplus", "disputed", "deposits"


def wallet_account(payer_id: str) -> str:
    return f"wallet:{payer_id}"


def source_account(gateway: str, payer_id: str) -> str:
    """Where a capture's money comes from, and a refund's goes back to."""
    return wallet_account(payer_id) if gateway == WALLET else f"psp:{gateway}"


def applied_id(renewal_id: UUID) -> UUID:
    """The id of the transfer by which a capture is earned: once per renewal."""
    return deterministic_id(renewal_id, "applied")


def captured(payment: Payment, gateway: str) -> tuple[Transfer, ...]:
    source = source_account(gateway, payment.terms.payer_id)
    return _one(payment, "capture", source, HELD)


def refunded(payment: Payment) -> tuple[Transfer, ...]:
    """Back to the source, from wherever the captured money is now."""
    source = source_account(payment.gateway or "", payment.terms.payer_id)
    return _one(payment, "refund", _whereabouts(payment), source)


def refund_returned(payment: Payment) -> tuple[Transfer, ...]:
    """A refund that had succeeded came back: the PSP owes it to us again, we hold it for the payer."""
    source = source_account(payment.gateway or "", payment.terms.payer_id)
    return _one(payment, "refund_returned", source, HELD)


def disputed(payment: Payment) -> tuple[Transfer, ...]:
    return _one(payment, "dispute", _whereabouts(payment), DISPUTED)


def surplus_found(payment: Payment, surplus: Surplus) -> Transfer:
    id_ = deterministic_id(payment.renewal_id, "surplus_found", surplus.gateway, surplus.reference)
    source = f"psp:{surplus.gateway}"
    return Transfer(
        id_, "surplus_found", source, SURPLUS, surplus.amount_minor, surplus.currency, payment.renewal_id
    )


def surplus_refunded(payment: Payment, surplus: Surplus, refund: str, amount_minor: int) -> Transfer:
    """What one refund gave back of a surplus: several may be needed for the whole."""
    id_ = deterministic_id(payment.renewal_id, "surplus_refund", surplus.gateway, surplus.reference, refund)
    source = f"psp:{surplus.gateway}"
    return Transfer(
        id_, "surplus_refund", SURPLUS, source, amount_minor, surplus.currency, payment.renewal_id
    )


def surplus_returned(payment: Payment, surplus: Surplus, refund: str, amount_minor: int) -> Transfer:
    """A refund of a surplus came back: the same money is found there again."""
    id_ = deterministic_id(payment.renewal_id, "surplus_returned", surplus.gateway, surplus.reference, refund)
    source = f"psp:{surplus.gateway}"
    return Transfer(id_, "surplus_found", source, SURPLUS, amount_minor, surplus.currency, payment.renewal_id)


def deposit(caller: str, key: str, payer_id: str, amount_minor: int, currency: str) -> Transfer:
    """Money that a payer paid in: one per caller and Idempotency-Key."""
    return Transfer(
        deterministic_id("deposit", caller, key),
        "deposit",
        DEPOSITS,
        wallet_account(payer_id),
        amount_minor,
        currency,
    )


def _whereabouts(payment: Payment) -> str:
    if payment.disputed_at is not None:
        return DISPUTED
    return APPLIED if payment.applied_at is not None else HELD


def _one(payment: Payment, kind: str, debit: str, credit: str) -> tuple[Transfer, ...]:
    if not payment.amount_minor:
        return ()
    id_ = deterministic_id(payment.renewal_id, kind)
    return (Transfer(id_, kind, debit, credit, payment.amount_minor, payment.currency, payment.renewal_id),)
