"""The lines of the books, as they were read. Ids are text; money is in minor units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class RenewalLine(NamedTuple):
    """Renewal's book: one renewal, and how far its history goes."""

    renewal_id: str
    subscription_id: str
    state: str
    version: int
    amount_minor: int | None
    currency: str
    flags: str
    history_lines: int
    history_version: int
    history_state: str


class PaymentLine(NamedTuple):
    """Payment's book: one payment. `reference` names the PSP's object; it is None for a wallet."""

    renewal_id: str
    state: str
    decision: str | None
    gateway: str | None
    amount_minor: int | None
    currency: str
    reference: str | None
    is_applied: bool
    is_disputed: bool
    surplus: Sequence[SurplusLine]


class SurplusLine(NamedTuple):
    """Money that payment found and may not keep."""

    reference: str
    amount_minor: int
    currency: str
    is_settled: bool


class TransferLine(NamedTuple):
    """The ledger: one transfer. `renewal_id` is empty for a deposit."""

    renewal_id: str
    kind: str
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str


class TopUpLine(NamedTuple):
    """Provisioning's book: one top-up. `cycle` is its number among the subscription's top-ups."""

    renewal_id: str
    subscription_id: str
    state: str
    iccid: str | None
    data_bytes: int | None
    product_code: str | None
    reference: str | None
    cycle: int | None


class PspEffect(NamedTuple):
    """The PSP's journal: money that moved, or an intent cancelled. `id` is the intent's or the refund's."""

    renewal_id: str
    effect: str
    id: str
    amount_minor: int
    currency: str


class CarrierEffect(NamedTuple):
    """The carrier's journal: data that was granted, or a top-up that was ruled out."""

    renewal_id: str
    effect: str
    id: str
    iccid: str
    data_bytes: int
    product_code: str


class WalletLine(NamedTuple):
    """What a payer has left, as payment's wallets say."""

    payer_id: str
    currency: str
    balance_minor: int


class Numbering(NamedTuple):
    """How many top-ups a subscription has had, as provisioning counts them."""

    subscription_id: str
    top_ups: int


@dataclass(slots=True)
class Books:
    """Everything that was read, as it stands in each book."""

    renewals: Sequence[RenewalLine] = ()
    payments: Sequence[PaymentLine] = ()
    transfers: Sequence[TransferLine] = ()
    top_ups: Sequence[TopUpLine] = ()
    psp: Sequence[PspEffect] = ()
    carrier: Sequence[CarrierEffect] = ()
    wallets: Sequence[WalletLine] = ()
    numbering: Sequence[Numbering] = ()
    orphans: int = 0
    """Events that renewal kept because they tell of a renewal that it does not know."""


@dataclass(slots=True)
class Case:
    """All that any book says about one renewal."""

    renewal_id: str
    renewal: RenewalLine | None = None
    payment: PaymentLine | None = None
    transfers: list[TransferLine] = field(default_factory=list)
    top_up: TopUpLine | None = None
    psp: list[PspEffect] = field(default_factory=list)
    carrier: list[CarrierEffect] = field(default_factory=list)

    def captures(self) -> list[PspEffect]:
        return [effect for effect in self.psp if effect.effect == "captured"]

    def grants(self) -> list[CarrierEffect]:
        return [effect for effect in self.carrier if effect.effect == "applied"]

    def transferred(self, kind: str) -> list[TransferLine]:
        return [transfer for transfer in self.transfers if transfer.kind == kind]

    @property
    def is_parked(self) -> bool:
        return self.renewal is not None and self.renewal.state == "parked"

    @property
    def kept_minor(self) -> int:
        """What the PSP took and did not give back, to the payer or to their bank."""
        signs = {"captured": 1, "refunded": -1, "refund_failed": 1, "disputed": -1}
        return sum(signs.get(effect.effect, 0) * effect.amount_minor for effect in self.psp)


def cases(books: Books) -> list[Case]:
    """One case per renewal id that occurs in any book, in the order of the ids."""
    found: defaultdict[str, Case] = defaultdict(lambda: Case(""))

    def case(renewal_id: str) -> Case:
        one = found[renewal_id]
        one.renewal_id = renewal_id
        return one

    for renewal in books.renewals:
        case(renewal.renewal_id).renewal = renewal
    for payment in books.payments:
        case(payment.renewal_id).payment = payment
    for transfer in books.transfers:
        if transfer.renewal_id:
            case(transfer.renewal_id).transfers.append(transfer)
    for top_up in books.top_ups:
        case(top_up.renewal_id).top_up = top_up
    for effect in books.psp:
        case(effect.renewal_id).psp.append(effect)
    for grant in books.carrier:
        case(grant.renewal_id).carrier.append(grant)
    return [found[renewal_id] for renewal_id in sorted(found)]
