"""The comparer can fail: every kind of difference between two books is found, and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploy.local.books.checks import CHECKS
from deploy.local.books.comparison import Comparison, compare
from deploy.local.books.rows import Books, SurplusLine
from tests.unit.books.lines import grant, money, payment, renewal, top_up, transfer

Spoil = Callable[[Books], None]


def change(lines: str, renewal_id: str, **fields: object) -> Spoil:
    """One line of a book says something else."""

    def spoil(books: Books) -> None:
        changed = [
            line._replace(**fields) if line.renewal_id == renewal_id else line
            for line in getattr(books, lines)
        ]
        assert changed != getattr(books, lines)
        setattr(books, lines, changed)

    return spoil


def drop(lines: str, renewal_id: str, word: str = "") -> Spoil:
    """A line is missing: the first of that renewal that holds the word."""

    def spoil(books: Books) -> None:
        kept = list(getattr(books, lines))
        kept.remove(
            next(line for line in kept if line.renewal_id == renewal_id and (not word or word in line))
        )
        setattr(books, lines, kept)

    return spoil


def add(lines: str, line: object) -> Spoil:
    """A line is there that should not be."""

    def spoil(books: Books) -> None:
        setattr(books, lines, [*getattr(books, lines), line])

    return spoil


def all_of(*spoils: Spoil) -> Spoil:
    def spoil(books: Books) -> None:
        for each in spoils:
            each(books)

    return spoil


def kinds(comparison: Comparison) -> set[str]:
    return {discrepancy.kind for discrepancy in comparison.discrepancies}


def test_books_that_agree_are_balanced(books: Books) -> None:
    comparison = compare(books)

    assert comparison.discrepancies == []
    assert comparison.is_balanced
    assert comparison.outcomes == {"completed": 3, "refunded": 1, "failed": 1}
    assert (comparison.renewals, comparison.captures, comparison.refunds, comparison.top_ups) == (5, 4, 2, 3)


def test_the_sums_of_a_currency_are_those_of_its_ledger(books: Books) -> None:
    (dollars,) = compare(books).totals

    assert dollars.captured_minor == 3600
    assert (dollars.applied_minor, dollars.refunded_minor) == (2700, 900)
    assert (dollars.held_minor, dollars.disputed_minor) == (0, 0)
    assert dollars.are_equal


PSP, LEDGER = "captures differ between PSP and payment", "captures differ between payment and ledger"
REFUND, GRANT = "refunds differ between PSP and ledger", "top-ups differ between carrier and provisioning"
END, HISTORY = "end and facts differ", "history is not whole"
SPOILED: list[tuple[str, Spoil, str]] = [
    ("the PSP captured what nobody asked for", add("psp", money("card", "captured", "pi-other")), PSP),
    ("the PSP captured one intent twice", add("psp", money("card", "captured", "pi-card")), PSP),
    ("the PSP's capture is missing", drop("psp", "card"), PSP),
    ("the PSP captured another amount", change("psp", "card", amount_minor=901), PSP),
    ("the PSP captured another currency", change("psp", "card", currency="EUR"), PSP),
    ("payment names another intent", change("payments", "card", reference="pi-other"), PSP),
    ("a surplus is not in payment's book", change("payments", "twice", surplus=()), PSP),
    ("the ledger lacks a capture", drop("transfers", "card", "capture"), LEDGER),
    (
        "the ledger has a capture twice",
        add("transfers", transfer("card", "capture", "psp:sandbox", "held")),
        LEDGER,
    ),
    ("the ledger took it from the wrong place", change("payments", "wallet", gateway="sandbox"), LEDGER),
    ("a surplus is not in the ledger", drop("transfers", "twice", "surplus_found"), LEDGER),
    ("the PSP refunded and the ledger does not know", drop("transfers", "back", "refund"), REFUND),
    ("the ledger refunded and the PSP does not know", drop("psp", "back", "refunded"), REFUND),
    ("the PSP refunded twice", add("psp", money("back", "refunded", "re-2")), REFUND),
    ("a refund came back and nobody noticed", add("psp", money("back", "refund_failed", "re-back")), REFUND),
    (
        "the refund is not of the whole capture",
        all_of(
            drop("transfers", "back", "refund"),
            add("transfers", transfer("back", "refund", "held", "psp:sandbox", 400)),
        ),
        "refund is not whole",
    ),
    (
        "the ledger refunded twice",
        add("transfers", transfer("back", "refund", "held", "psp:sandbox")),
        "refund is not whole",
    ),
    (
        "two captures are kept",
        all_of(drop("psp", "twice", "refunded")),
        "more money kept than may be",
    ),
    (
        "a surplus waits to be given back",
        change("payments", "twice", surplus=[SurplusLine("pi-extra", 900, "USD", False)]),
        "more money kept than may be",
    ),
    (
        "money of a failed renewal is kept",
        add("psp", money("declined", "captured", "pi-declined")),
        "more money kept than may be",
    ),
    ("the carrier applied twice", add("carrier", grant("card")._replace(id="tu-2")), GRANT),
    ("the carrier applied for a refunded one", add("carrier", grant("back")), GRANT),
    ("the carrier applied none", drop("carrier", "card"), GRANT),
    ("the carrier applied to another ICCID", change("carrier", "card", iccid="89019999"), GRANT),
    ("the carrier granted other data", change("carrier", "card", data_bytes=1), GRANT),
    ("the carrier granted another product", change("carrier", "card", product_code="CU-2"), GRANT),
    ("provisioning names another top-up", change("top_ups", "card", reference="tu-9"), GRANT),
    ("completed without a top-up", drop("top_ups", "card"), END),
    ("completed and never paid", drop("payments", "card"), END),
    ("completed and the money went back", change("payments", "card", state="refunded"), END),
    ("completed for another price", change("renewals", "card", amount_minor=1), END),
    ("completed in another currency", change("renewals", "card", currency="EUR"), END),
    ("completed and never earned", drop("transfers", "card", "applied"), END),
    ("refunded and the money stays", change("payments", "back", state="captured"), END),
    ("refunded and the data stays", change("top_ups", "back", state="applied", reference="tu-back"), END),
    ("failed and payment never said so", change("payments", "declined", decision=None, state="refused"), END),
    ("failed and payment knows nothing", drop("payments", "declined"), END),
    (
        "failed and the data was granted",
        all_of(add("top_ups", top_up("declined", "applied", 1)), add("carrier", grant("declined"))),
        END,
    ),
    (
        "captured and nothing was applied",
        change("payments", "card", is_applied=False),
        "captured but unapplied",
    ),
    ("a renewal is still open", change("renewals", "card", state="priced"), "not finished"),
    (
        "the history lacks the last step",
        change("renewals", "card", history_version=3),
        HISTORY,
    ),
    ("the history lacks a step", change("renewals", "card", history_lines=3), HISTORY),
    (
        "the history ends elsewhere",
        change("renewals", "card", history_state="priced"),
        HISTORY,
    ),
    ("nobody began it", drop("renewals", "card"), "a renewal that nobody began"),
    (
        "the PSP took money for nobody",
        add("psp", money("", "captured", "pi-stray")),
        "a renewal that nobody began",
    ),
    ("a wallet holds more than the ledger says", lambda books: _wallet(books, 601), "wallets"),
    ("a wallet is missing", lambda books: setattr(books, "wallets", []), "wallets"),
    ("two top-ups have one number", change("top_ups", "wallet", cycle=2), "numbering"),
    ("a top-up has no number", change("top_ups", "card", cycle=None), "numbering"),
    ("an orphan was kept", lambda books: setattr(books, "orphans", 1), "orphans"),
    ("the sums differ", add("transfers", transfer("card", "applied", "applied", "shadow", 5)), "sums"),
    (
        "the PSP holds another sum than the ledger says",
        add("transfers", transfer("", "deposit", "psp:sandbox", "deposits")),
        "sums",
    ),
    (
        "an account is overdrawn",
        add("transfers", transfer("back", "refund", "held", "psp:sandbox")),
        "ledger",
    ),
]


def _wallet(books: Books, balance_minor: int) -> None:
    books.wallets = [wallet._replace(balance_minor=balance_minor) for wallet in books.wallets]


@pytest.mark.parametrize(("spoil", "kind"), [case[1:] for case in SPOILED], ids=[case[0] for case in SPOILED])
def test_a_difference_is_found(books: Books, spoil: Spoil, kind: str) -> None:
    spoil(books)

    comparison = compare(books)

    assert kind in kinds(comparison)
    assert not comparison.is_balanced


def test_every_check_has_a_test_that_it_can_fail() -> None:
    assert {kind for _, _, kind in SPOILED} >= CHECKS.keys()


def test_a_parked_renewal_may_hold_money(books: Books) -> None:
    change("renewals", "back", state="parked", history_state="parked")(books)
    change("payments", "back", state="captured")(books)
    drop("transfers", "back", "refund")(books)
    drop("psp", "back", "refunded")(books)

    comparison = compare(books)

    assert comparison.discrepancies == []
    assert comparison.totals[0].held_minor == 900


def test_a_disputed_renewal_stays_completed(books: Books) -> None:
    change("renewals", "card", flags="disputed")(books)
    change("payments", "card", is_disputed=True)(books)
    add("transfers", transfer("card", "dispute", "applied", "disputed"))(books)
    add("psp", money("card", "disputed", "pi-card"))(books)

    comparison = compare(books)

    assert comparison.discrepancies == []
    assert comparison.totals[0].disputed_minor == 900


def test_a_refund_that_comes_back_is_held_again(books: Books) -> None:
    change("renewals", "back", flags="refund_failed_later")(books)
    add("transfers", transfer("back", "refund_returned", "psp:sandbox", "held"))(books)
    add("psp", money("back", "refund_failed", "re-back"))(books)

    comparison = compare(books)

    assert comparison.discrepancies == []
    assert comparison.totals[0].held_minor == 900


def test_a_renewal_given_up_before_any_payment_began_needs_its_tombstone(books: Books) -> None:
    add("renewals", renewal("early", "cancelled", amount=None))(books)
    without = compare(books)
    add("payments", payment("early", "cancelled", "cancelled", amount_minor=None, reference=None))(books)

    assert kinds(without) == {"end and facts differ"}
    assert compare(books).is_balanced


def test_a_discrepancy_tells_what_each_book_says(books: Books) -> None:
    drop("carrier", "card")(books)

    (found,) = compare(books).discrepancies

    assert found.renewal_id == "card"
    assert found.sentence == "provisioning calls the top-up applied, the carrier applied none"
    assert dict(found.says) == {
        "renewal": "completed, version 4",
        "payment": "captured 900 USD by sandbox (pi-card)",
        "ledger": "capture 900 USD, applied 900 USD",
        "provisioning": "applied (tu-card)",
        "PSP": "captured 900 USD (pi-card)",
        "carrier": "nothing",
    }


def test_an_iccid_is_compared_and_never_shown(books: Books) -> None:
    change("carrier", "card", iccid="8901777")(books)

    (found,) = compare(books).discrepancies

    assert "ICCID" in found.sentence
    assert "8901" not in str(found)


@pytest.mark.parametrize(
    ("book", "line"),
    [
        ("renewals", renewal("card", "completed")),
        ("payments", payment("card", "captured", "captured", is_applied=True)),
        ("top_ups", top_up("back", "rejected")),
    ],
)
def test_what_is_open_and_archived_at_once_is_found(books: Books, book: str, line: object) -> None:
    add(book, line)(books)

    assert kinds(compare(books)) == {"in two places"}
