"""What must hold of every renewal, whichever books tell of it. Pure.

Each check gets all that any book says about one renewal and yields a sentence per thing that is wrong.
The table at the end is the comparer: a check that is not in it is not made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from deploy.local.books.rows import Case, PaymentLine, PspEffect, TransferLine

WALLET: Final = "wallet"
UNPAID_ENDS: Final = frozenset({"failed", "cancelled"})
CLOSED: Final = frozenset({"completed", "refunded"}) | UNPAID_ENDS
GIVEN_BACK: Final = frozenset({"disputed", "refunded_elsewhere"})
"""Flags of a completed renewal whose money went back without our doing."""

Check = Callable[[Case], Iterator[str]]
Sum = tuple[int, str]


def _is_known(case: Case) -> Iterator[str]:
    if case.renewal is None:
        yield "renewal knows nothing of it"


def _is_finished(case: Case) -> Iterator[str]:
    renewal = case.renewal
    if renewal is not None and renewal.state not in CLOSED and renewal.state != "parked":
        yield f"it is still {renewal.state}"


def _history_is_whole(case: Case) -> Iterator[str]:
    renewal = case.renewal
    if renewal is None:
        return
    if (renewal.history_version, renewal.history_state) != (renewal.version, renewal.state):
        told = f"version {renewal.history_version} ({renewal.history_state or 'nothing'})"
        yield f"its history ends with {told}, its row is version {renewal.version} ({renewal.state})"
    elif renewal.history_lines != renewal.version:
        yield f"its history has {renewal.history_lines} lines for {renewal.version} versions"


def _captures_are_booked(case: Case) -> Iterator[str]:
    """Each capture at the PSP is one in payment's book, by the PSP's own id, and the other way round."""
    done = Counter((effect.id, effect.amount_minor, effect.currency) for effect in case.captures())
    booked = Counter(_claims(case.payment))
    for (id_, amount, currency), times in sorted((done - booked).items()):
        yield f"the PSP captured {_money(amount, currency)} ({id_}){_times(times)}, payment knows of none"
    for (id_, amount, currency), times in sorted((booked - done).items()):
        yield f"payment captured {_money(amount, currency)} ({id_}){_times(times)}, the PSP knows of none"


def _claims(payment: PaymentLine | None) -> Iterator[tuple[str, int, str]]:
    """Every capture that payment says was made at the PSP."""
    if payment is None:
        return
    if payment.decision == "captured" and payment.gateway != WALLET and payment.amount_minor:
        yield payment.reference or "", payment.amount_minor, payment.currency
    for surplus in payment.surplus:
        yield surplus.reference, surplus.amount_minor, surplus.currency


def _captures_are_in_the_ledger(case: Case) -> Iterator[str]:
    payment = case.payment
    wanted: list[Sum] = []
    if payment is not None and payment.decision == "captured" and payment.amount_minor:
        wanted.append((payment.amount_minor, payment.currency))
    yield from _same_sums("capture", wanted, case.transferred("capture"))
    for transfer in case.transferred("capture"):
        from_wallet = transfer.debit_account.startswith("wallet:")
        if payment is not None and from_wallet != (payment.gateway == WALLET):
            yield f"the ledger took the capture from {transfer.debit_account}, payment from {payment.gateway}"
        if transfer.credit_account != "held":
            yield f"the ledger put the capture into {transfer.credit_account} instead of held"
    surplus = [] if payment is None else [(one.amount_minor, one.currency) for one in payment.surplus]
    yield from _same_sums("surplus found", surplus, case.transferred("surplus_found"))


def _same_sums(what: str, wanted: list[Sum], transfers: list[TransferLine]) -> Iterator[str]:
    booked = Counter((transfer.amount_minor, transfer.currency) for transfer in transfers)
    for sum_, times in (Counter(wanted) - booked).items():
        yield f"payment has a {what} of {_money(*sum_)}{_times(times)}, the ledger lacks it"
    for sum_, times in (booked - Counter(wanted)).items():
        yield f"the ledger has a {what} of {_money(*sum_)}{_times(times)}, payment lacks it"


def _refunds_are_booked(case: Case) -> Iterator[str]:
    """Each refund at the PSP is one in the ledger, sum by sum; so is each that came back."""
    made = _sums(case.psp, "refunded")
    booked = Counter(
        (transfer.amount_minor, transfer.currency)
        for transfer in case.transfers
        if transfer.kind in ("refund", "surplus_refund") and transfer.credit_account.startswith("psp:")
    )
    yield from _differ("refund", made, booked)
    returned = Counter((one.amount_minor, one.currency) for one in case.transferred("refund_returned"))
    yield from _differ("returned refund", _sums(case.psp, "refund_failed"), returned)


def _sums(effects: list[PspEffect], name: str) -> Counter[Sum]:
    return Counter(
        (effect.amount_minor, effect.currency)
        for effect in effects
        if effect.effect == name and effect.amount_minor
    )


def _differ(what: str, done: Counter[Sum], booked: Counter[Sum]) -> Iterator[str]:
    for sum_, times in (done - booked).items():
        yield f"the PSP made a {what} of {_money(*sum_)}{_times(times)}, the ledger lacks it"
    for sum_, times in (booked - done).items():
        yield f"the ledger has a {what} of {_money(*sum_)}{_times(times)}, the PSP made none"


def _refund_is_whole(case: Case) -> Iterator[str]:
    """What payment calls refunded is one refund of the whole capture."""
    payment, refunds = case.payment, case.transferred("refund")
    is_refunded = payment is not None and payment.state == "refunded"
    if len(refunds) > 1:
        yield f"the ledger has {len(refunds)} refunds of it"
    if payment is None or not payment.amount_minor:
        return
    if is_refunded and not refunds:
        yield "payment calls it refunded, the ledger has no refund"
    if refunds and not is_refunded:
        yield f"the ledger has a refund, payment calls it {payment.state}"
    if is_refunded and refunds and refunds[0].amount_minor != payment.amount_minor:
        refunded = _money(refunds[0].amount_minor, refunds[0].currency)
        yield f"{_money(payment.amount_minor, payment.currency)} were captured and {refunded} refunded"


def _one_capture_is_kept(case: Case) -> Iterator[str]:
    """No more stays with us than was captured for this renewal once; surplus goes back."""
    payment = case.payment
    allowed = payment.amount_minor or 0 if payment is not None and payment.decision == "captured" else 0
    if case.kept_minor > allowed:
        yield f"{case.kept_minor} minor units were captured and kept, {allowed} may be"
    if payment is not None and any(not one.is_settled for one in payment.surplus):
        yield "a surplus was found and not given back"


def _grants_are_booked(case: Case) -> Iterator[str]:
    """Each top-up at the carrier is one in provisioning's book, alike in all that was granted."""
    grants, top_up = case.grants(), case.top_up
    is_applied = top_up is not None and top_up.state == "applied"
    if len(grants) > 1:
        ids = ", ".join(grant.id for grant in grants)
        yield f"the carrier applied {len(grants)} top-ups ({ids})"
    if grants and not is_applied:
        state = "knows no top-up" if top_up is None else f"calls the top-up {top_up.state}"
        yield f"the carrier applied a top-up ({grants[0].id}), provisioning {state}"
    if top_up is None or not is_applied:
        return
    if not grants:
        yield "provisioning calls the top-up applied, the carrier applied none"
    for grant in grants[:1]:
        for what, done, booked in (
            ("top-up id", grant.id, top_up.reference),
            ("ICCID", grant.iccid, top_up.iccid),
            ("number of bytes", grant.data_bytes, top_up.data_bytes),
            ("product", grant.product_code, top_up.product_code),
        ):
            if done != booked:
                # ICCIDs identify people: they are compared and never shown.
                shown = "" if what == "ICCID" else f" ({done} and {booked})"
                yield f"carrier and provisioning differ in the {what}{shown}"


def _ends_as_it_says(case: Case) -> Iterator[str]:
    """What a renewal's end promises: paid and topped up, or neither."""
    renewal, payment = case.renewal, case.payment
    if renewal is None:
        return
    is_applied = case.top_up is not None and case.top_up.state == "applied"
    is_captured = payment is not None and payment.decision == "captured"
    is_refunded = payment is not None and payment.state == "refunded"
    if renewal.state == "completed":
        if not is_applied:
            yield "it is completed without an applied top-up"
        if not is_captured:
            yield "it is completed and was never paid"
        elif is_refunded and not GIVEN_BACK & set(renewal.flags.split()):
            yield "it is completed and the money went back"
        if payment is not None and is_captured:
            paid, said = (payment.amount_minor, payment.currency), (renewal.amount_minor, renewal.currency)
            if paid != said:
                yield f"renewal says {_money(*said)}, payment {_money(*paid)}"
            earned = [(one.amount_minor, one.currency) for one in case.transferred("applied")]
            if not payment.is_disputed and payment.amount_minor and earned != [paid]:
                yield f"the ledger has earned {len(earned)} times where it must be once, in full"
    elif renewal.state == "refunded":
        if not is_refunded:
            yield f"it is refunded, payment says {payment.state if payment else 'nothing'}"
        if is_applied:
            yield "it is refunded and the data stays"
    elif renewal.state in UNPAID_ENDS:
        if payment is None or payment.decision != "cancelled":
            yield f"it is {renewal.state}, payment says {_standing(payment)} instead of cancelled"
        if is_applied:
            yield f"it is {renewal.state} and the data was granted"


def _nothing_hangs(case: Case) -> Iterator[str]:
    """Money that is captured and bought nothing, where no operator was asked."""
    payment = case.payment
    if payment is None or case.is_parked or payment.decision != "captured" or payment.state == "refunded":
        return
    if not payment.is_applied and not payment.is_disputed:
        yield "the money is captured and nothing was applied for it"


def _standing(payment: PaymentLine | None) -> str:
    return "nothing" if payment is None else payment.decision or payment.state


def _money(amount_minor: int | None, currency: str) -> str:
    return "nothing" if amount_minor is None else f"{amount_minor} {currency} (minor units)"


def _times(times: int) -> str:
    return f" {times} times" if times > 1 else ""


CHECKS: Final[dict[str, Check]] = {
    "a renewal that nobody began": _is_known,
    "not finished": _is_finished,
    "history is not whole": _history_is_whole,
    "captures differ between PSP and payment": _captures_are_booked,
    "captures differ between payment and ledger": _captures_are_in_the_ledger,
    "refunds differ between PSP and ledger": _refunds_are_booked,
    "refund is not whole": _refund_is_whole,
    "more money kept than may be": _one_capture_is_kept,
    "top-ups differ between carrier and provisioning": _grants_are_booked,
    "end and facts differ": _ends_as_it_says,
    "captured but unapplied": _nothing_hangs,
}
"""By what is reported when it does not hold."""
