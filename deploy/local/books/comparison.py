"""Compares the books row by row, and adds them up. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from deploy.local.books.checks import CHECKS
from deploy.local.books.rows import Books, Case, PaymentLine, cases

SOURCE_PREFIX: Final = "psp:"
WALLET_PREFIX: Final = "wallet:"
EARNING_ACCOUNTS: Final = ("held", "applied", "disputed", "surplus")


class Discrepancy(NamedTuple):
    """Something that does not hold: of a renewal, or (`renewal_id` empty) of a book as a whole."""

    kind: str
    renewal_id: str
    sentence: str
    says: tuple[tuple[str, str], ...] = ()
    """What each book says about the renewal."""


class Totals(NamedTuple):
    """One currency: captured = applied + refunded + held + disputed, as the ledger has it."""

    currency: str
    captured_minor: int
    applied_minor: int
    refunded_minor: int
    held_minor: int
    disputed_minor: int

    @property
    def are_equal(self) -> bool:
        parts = self.applied_minor + self.refunded_minor + self.held_minor + self.disputed_minor
        return self.captured_minor == parts


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing. The counts say how much was compared: nothing is balanced too easily."""

    discrepancies: Sequence[Discrepancy]
    totals: Sequence[Totals]
    outcomes: Counter[str]
    """Renewals by state."""
    renewals: int
    captures: int
    refunds: int
    top_ups: int

    @property
    def is_balanced(self) -> bool:
        return not self.discrepancies


def compare(books: Books) -> Comparison:
    """All that differs. An empty list means that every book tells the same, row by row."""
    found = [discrepancy for case in cases(books) for discrepancy in _of_case(case)]
    found += _of_places(books)
    totals = _totals(books)
    found += _of_totals(books, totals)
    found += _of_wallets(books)
    found += _of_numbering(books)
    if books.orphans:
        sentence = f"renewal was told {books.orphans} times of renewals that it does not know"
        found.append(Discrepancy("orphans", "", sentence))
    return Comparison(
        discrepancies=found,
        totals=totals,
        outcomes=Counter(renewal.state for renewal in books.renewals),
        renewals=len(books.renewals),
        captures=sum(effect.effect == "captured" for effect in books.psp),
        refunds=sum(effect.effect == "refunded" for effect in books.psp),
        top_ups=sum(effect.effect == "applied" for effect in books.carrier),
    )


def _of_places(books: Books) -> Iterator[Discrepancy]:
    """Every line stands once: among what is open, or in the archive."""
    for book, lines in (
        ("renewal", books.renewals),
        ("payment", books.payments),
        ("provisioning", books.top_ups),
    ):
        for renewal_id, times in Counter(line.renewal_id for line in lines).items():
            if times > 1:
                sentence = f"{book} has it {times} times, among what is open and in its archive"
                yield Discrepancy("in two places", renewal_id, sentence)


def _of_case(case: Case) -> Iterator[Discrepancy]:
    for kind, check in CHECKS.items():
        for sentence in check(case):
            yield Discrepancy(kind, case.renewal_id, sentence, _says(case))


def _says(case: Case) -> tuple[tuple[str, str], ...]:
    renewal, payment, top_up = case.renewal, case.payment, case.top_up
    return (
        ("renewal", "nothing" if renewal is None else f"{renewal.state}, version {renewal.version}"),
        ("payment", "nothing" if payment is None else _payment_says(payment)),
        (
            "ledger",
            _list(f"{one.kind} {one.amount_minor} {one.currency}" for one in case.transfers),
        ),
        ("provisioning", "nothing" if top_up is None else f"{top_up.state} ({top_up.reference})"),
        ("PSP", _list(f"{one.effect} {one.amount_minor} {one.currency} ({one.id})" for one in case.psp)),
        ("carrier", _list(f"{one.effect} {one.data_bytes} bytes ({one.id})" for one in case.carrier)),
    )


def _payment_says(payment: PaymentLine) -> str:
    amount = "" if payment.amount_minor is None else f" {payment.amount_minor} {payment.currency}"
    return f"{payment.state}{amount} by {payment.gateway or 'nobody'} ({payment.reference or 'no object'})"


def _list(parts: Iterator[str]) -> str:
    return ", ".join(parts) or "nothing"


def _totals(books: Books) -> list[Totals]:
    flows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for transfer in books.transfers:
        flow = flows[transfer.currency]
        flow[transfer.kind] += transfer.amount_minor
        flow["debit " + transfer.debit_account] += transfer.amount_minor
        flow["credit " + transfer.credit_account] += transfer.amount_minor

    def balance(currency: str, account: str) -> int:
        return flows[currency]["credit " + account] - flows[currency]["debit " + account]

    return [
        Totals(
            currency=currency,
            captured_minor=flows[currency]["capture"],
            applied_minor=balance(currency, "applied"),
            refunded_minor=flows[currency]["refund"] - flows[currency]["refund_returned"],
            held_minor=balance(currency, "held"),
            disputed_minor=balance(currency, "disputed"),
        )
        for currency in sorted(flows)
    ]


def _of_totals(books: Books, totals: Sequence[Totals]) -> Iterator[Discrepancy]:
    """The ledger adds up, and what it says PSPs owe us is what the PSP's journal says it holds."""
    for total in totals:
        if not total.are_equal:
            sentence = f"in {total.currency}: captured is not applied + refunded + held + disputed: {total}"
            yield Discrepancy("sums", "", sentence)
    balances: Counter[tuple[str, str]] = Counter()
    for transfer in books.transfers:
        balances[transfer.credit_account, transfer.currency] += transfer.amount_minor
        balances[transfer.debit_account, transfer.currency] -= transfer.amount_minor
        if transfer.amount_minor <= 0 or transfer.debit_account == transfer.credit_account:
            yield Discrepancy("ledger", transfer.renewal_id, f"a transfer that moves nothing: {transfer}")
    for (account, currency), balance in balances.items():
        if account in EARNING_ACCOUNTS and balance < 0:
            sentence = f"the account {account} has less than nothing: {balance} {currency}"
            yield Discrepancy("ledger", "", sentence)
    yield from _of_psp_accounts(books, balances)


def _of_psp_accounts(books: Books, balances: Counter[tuple[str, str]]) -> Iterator[Discrepancy]:
    owed: Counter[str] = Counter()
    for (account, currency), balance in balances.items():
        if account.startswith(SOURCE_PREFIX):
            owed[currency] -= balance
    holds: Counter[str] = Counter()
    signs = {"captured": 1, "refunded": -1, "refund_failed": 1}
    for effect in books.psp:
        holds[effect.currency] += signs.get(effect.effect, 0) * effect.amount_minor
    for currency in sorted(owed.keys() | holds.keys()):
        if owed[currency] != holds[currency]:
            sums = f"by the ledger {owed[currency]}, by its journal {holds[currency]}"
            yield Discrepancy("sums", "", f"in {currency} the PSP has {sums}")


def _of_wallets(books: Books) -> Iterator[Discrepancy]:
    ledger: Counter[tuple[str, str]] = Counter()
    for transfer in books.transfers:
        for account, sign in ((transfer.credit_account, 1), (transfer.debit_account, -1)):
            if account.startswith(WALLET_PREFIX):
                payer = account.removeprefix(WALLET_PREFIX)
                ledger[payer, transfer.currency] += sign * transfer.amount_minor
    wallets = {(one.payer_id, one.currency): one.balance_minor for one in books.wallets}
    for payer, currency in sorted(ledger.keys() | wallets.keys()):
        has, said = wallets.get((payer, currency), 0), ledger[payer, currency]
        if has != said:
            sentence = f"the wallet of {payer} holds {has} {currency}, by the ledger {said}"
            yield Discrepancy("wallets", "", sentence)


def _of_numbering(books: Books) -> Iterator[Discrepancy]:
    """The applied top-ups of a subscription are its last ones, numbered without gap or repetition."""
    cycles: defaultdict[str, list[int]] = defaultdict(list)
    for top_up in books.top_ups:
        if top_up.state == "applied":
            cycles[top_up.subscription_id].append(top_up.cycle or 0)
    counted = {one.subscription_id: one.top_ups for one in books.numbering}
    for subscription_id in sorted(cycles):
        numbers, last = sorted(cycles[subscription_id]), counted.get(subscription_id, 0)
        if numbers != list(range(last - len(numbers) + 1, last + 1)):
            sentence = f"{subscription_id} has had {last} top-ups, the applied ones are numbered {numbers}"
            yield Discrepancy("numbering", "", sentence)
