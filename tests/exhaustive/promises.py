"""What must hold in every world, and what must hold where everything has come to an end.

The truth is taken from the outside systems (what the PSP took and gave back, what the carrier applied),
what we said from the events, the books from the ledger's own transfers.
"""

from typing import Final, NamedTuple

from services.payment.domain.ledger import APPLIED, DISPUTED, HELD, SURPLUS
from services.payment.domain.payment import Decision, Operation, State, Transfer
from services.renewal.domain.renewal import CLOSED, Renewal
from tests.exhaustive.case import PRICE, Case
from tests.exhaustive.line import Delayed
from tests.exhaustive.payment import PaymentSide
from tests.exhaustive.provisioning import ProvisioningSide

_GIVING_BACK: Final = frozenset({State.REFUNDING, State.REFUND_FAILED, State.REFUND_REJECTED})
_COUNTS_AS_FAILED: Final = frozenset({State.REFUSED, State.REFUND_FAILED})
_NOT_APPLIED: Final = frozenset({"TopUpRejected", "TopUpCancelled"})


class PaymentFacts(NamedTuple):
    """What payment's side comes to, as far as a promise is concerned."""

    broken: str | None
    said: frozenset[str]
    kept: int
    """Captures that the gateways hold and have not given back."""
    gives_back: bool
    """A refund of the renewal's own capture was begun, by us."""
    came_back: bool
    """A refund that was made came back to us."""
    books_agree: bool
    """The ledger says of every gateway what the gateway holds."""
    rests: bool


class TopUpFacts(NamedTuple):
    """What provisioning's side comes to."""

    broken: str | None
    said: frozenset[str]
    applied: int
    rests: bool


class RenewalFacts(NamedTuple):
    """What the saga's row comes to."""

    state: str
    alarmed: bool
    released: bool
    refund_failed_later: bool
    refunded_elsewhere: bool


def payment_rests(side: PaymentSide) -> bool:
    """Whether payment has nothing left to do by itself."""
    if side.jobs or side.wire or not all(psp.is_still() for psp in side.psps):
        return False
    payment = side.payment
    if payment is None:
        return True
    # To ask whether the payer has come is to wait for the payer.
    return payment.operation in (None, Operation.ASK) and all(one.settled for one in payment.surplus)


def provisioning_rests(side: ProvisioningSide) -> bool:
    """Whether provisioning has nothing left to do by itself."""
    return (
        not side.jobs
        and not side.wire
        and side.carrier.is_still()
        and all(one.ended for one in side.attempts)
    )


class Judge:
    """Judges worlds by the facts of their parts."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def payment(self, side: PaymentSide) -> PaymentFacts:
        payment = side.payment
        elsewhere = any(not refund.is_ours for psp in side.psps for refund in psp.refunds)
        gives_back = payment is not None and (
            payment.operation is Operation.REFUND
            or payment.state in _GIVING_BACK
            or (payment.state is State.REFUNDED and not elsewhere)
        )
        kept = sum(psp.captured() for psp in side.psps) + (PRICE - side.purse_minor) // PRICE
        return PaymentFacts(
            self._broken_by_payment(side),
            side.said,
            kept,
            gives_back,
            payment is not None and payment.refund_returned_at is not None,
            self._books_agree(side),
            payment_rests(side),
        )

    def provisioning(self, side: ProvisioningSide) -> TopUpFacts:
        broken = None
        if len(side.said) > 1:
            broken = f"provisioning said {' and '.join(sorted(side.said))}"
        elif side.called_off and (side.attempts or side.carrier.items or "TopUpApplied" in side.said):
            broken = "a top-up began that had been called off before"
        elif side.contradicted:
            broken = "the carrier applied what was said to be rejected or cancelled"
        elif side.carrier.applied > 1:
            broken = f"the top-up was applied {side.carrier.applied} times"
        elif "TopUpApplied" in side.said and not side.carrier.applied:
            broken = "TopUpApplied was said, and nothing was applied"
        elif side.said & _NOT_APPLIED and side.carrier.applied:
            broken = f"{min(side.said)} was said, and it was applied"
        return TopUpFacts(broken, side.said, side.carrier.applied, provisioning_rests(side))

    def renewal(self, renewal: Renewal) -> RenewalFacts:
        return RenewalFacts(
            renewal.state,
            renewal.has_flag("promise_broken"),
            renewal.has_flag("released"),
            renewal.has_flag("refund_failed_later"),
            renewal.has_flag("refunded_elsewhere"),
        )

    def verdict(
        self, saga: RenewalFacts, payment: PaymentFacts, top_up: TopUpFacts, no_letters: bool
    ) -> tuple[bool, str | None]:
        """Whether nothing will happen any more, and the promise that does not hold, None where all do."""
        closed = saga.state in CLOSED or saga.state == "parked"
        ended = closed and no_letters and payment.rests and top_up.rests
        broken = self._broken(saga, payment, top_up)
        if ended and broken is None:
            broken = self._broken_at_the_end(saga, payment, top_up)
        return ended, broken

    def is_true(self, finding: str, payment: PaymentSide, top_up: ProvisioningSide) -> bool:
        """Whether an operator who asks the outside systems can come to that finding. They look at rest;
        only a PSP's object may still move, and take money that the two did not find."""
        applied = top_up.carrier.applied
        row = payment.payment
        match finding:
            case "applied":
                return applied == 1
            case "not_applied":
                return applied == 0 and provisioning_rests(top_up)
        if row is None:
            return False
        held = any(
            intent.status == "succeeded" and psp.reference(place) == row.provider_reference
            for psp in payment.psps
            for place, intent in enumerate(psp.intents)
        )
        given_back = any(refund.status == "succeeded" for psp in payment.psps for refund in psp.refunds)
        nobody_asks = not payment.jobs and not payment.wire
        match finding:
            case "captured":
                return held and not given_back
            case "not_captured":
                return not any(psp.captured() for psp in payment.psps)
        return given_back and nobody_asks and all(psp.is_still() for psp in payment.psps)

    def _broken(self, saga: RenewalFacts, payment: PaymentFacts, top_up: TopUpFacts) -> str | None:
        """The promise that does not hold in a world of these, None where all do."""
        if payment.broken or top_up.broken:
            return payment.broken or top_up.broken
        if saga.alarmed:
            return "the saga saw two authorities contradict each other"
        if saga.refund_failed_later and not payment.came_back:
            return "a refund is told to have come back that did not"
        if top_up.applied and "PaymentCaptured" not in payment.said:
            return "a top-up without a capture"
        if payment.gives_back and not top_up.said & _NOT_APPLIED:
            return "a refund was begun before TopUpCancelled or TopUpRejected"
        if payment.gives_back and top_up.applied:
            return "an applied top-up is refunded"
        if saga.state in ("failed", "cancelled") and "PaymentCancelled" not in payment.said:
            return f"{saga.state} without PaymentCancelled"
        if saga.state == "completed" and "TopUpApplied" not in top_up.said and not saga.released:
            return "completed without TopUpApplied"
        return None

    def _broken_at_the_end(self, saga: RenewalFacts, payment: PaymentFacts, top_up: TopUpFacts) -> str | None:
        """The promise that does not hold where everything has ended, None where all do."""
        if payment.kept > 1:
            return f"{payment.kept} captures are kept"
        if not payment.books_agree:
            return "the ledger and the gateways disagree"
        if saga.state == "parked":
            return None
        if saga.released and not top_up.said:
            return f"{saga.state} by hand, and provisioning was never told"
        expected = {"completed": (1, 1), "refunded": (0, 0), "failed": (0, 0), "cancelled": (0, 0)}
        kept, applied = expected[saga.state]
        if not self.case.amount_minor:
            kept = 0
        if top_up.applied != applied:
            return f"{saga.state}, and {top_up.applied} top-ups are applied"
        # Closed by hand as refunded, the payer has the money from elsewhere.
        settled_outside = saga.released and saga.state == "refunded"
        excused = saga.refund_failed_later or saga.refunded_elsewhere or settled_outside
        if payment.kept != kept and not excused:
            return f"{saga.state}, and {payment.kept} captures are kept"
        return None

    def _broken_by_payment(self, side: PaymentSide) -> str | None:
        if len(side.said) > 1:
            return "payment said PaymentCaptured and PaymentCancelled"
        if side.called_off and (side.jobs or "PaymentCaptured" in side.said):
            return "a payment began that had been called off before"
        if side.repeated:
            return "who was declined was charged again under the same key"
        row = side.payment
        failed = row is not None and row.state in _COUNTS_AS_FAILED
        if failed and any(_may_work(side, one) for one in side.wire):
            return "an attempt counts as failed while its request may still work"
        if row is not None and row.decision is Decision.CAPTURED:
            kept = (row.gateway, row.provider_reference)
            if any((one.gateway, one.reference) == kept for one in row.surplus):
                return "what PaymentCaptured was published for is sent back as surplus"
        return _unbalanced(side.ledger)

    def _books_agree(self, side: PaymentSide) -> bool:
        balances = _balances(side.ledger)
        at_psps = all(-balances.get(f"psp:{psp.name}", 0) == psp.captured() * PRICE for psp in side.psps)
        return at_psps and balances.get("wallet:anna", 0) == side.purse_minor - PRICE


def _may_work(side: PaymentSide, one: Delayed) -> bool:
    """Whether a request on its way that is bound by its send window can still move money."""
    [psp] = [psp for psp in side.psps if psp.name == one.system]
    return one.is_timely and psp.can_work(one.request) and not psp.remembers(one.request)


def _balances(transfers: frozenset[Transfer]) -> dict[str, int]:
    """Credits less debits, by account."""
    balances: dict[str, int] = {}
    for one in transfers:
        balances[one.credit_account] = balances.get(one.credit_account, 0) + one.amount_minor
        balances[one.debit_account] = balances.get(one.debit_account, 0) - one.amount_minor
    return balances


def _unbalanced(transfers: frozenset[Transfer]) -> str | None:
    """What ledger_proof would show: captured = applied + refunded + held + disputed, none below zero."""
    balances = _balances(transfers)
    moved = {kind: sum(one.amount_minor for one in transfers if one.kind == kind) for kind in _KINDS}
    captured = moved["capture"]
    returned = moved["refund"] - moved["refund_returned"]
    held, applied, disputed = (balances.get(account, 0) for account in (HELD, APPLIED, DISPUTED))
    if captured != applied + returned + held + disputed:
        return "captured is not applied + refunded + held + disputed"
    below = [account for account in (HELD, APPLIED, DISPUTED, SURPLUS) if balances.get(account, 0) < 0]
    return f"the account {below[0]} is below zero" if below else None


_KINDS: Final = ("capture", "refund", "refund_returned")
