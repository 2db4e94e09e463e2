"""What came of comparing, for people."""

from __future__ import annotations

from rich.table import Table

from deploy.local.books.comparison import Comparison
from deploy.local.console import console

MAX_SHOWN = 20
MINOR_PER_MAJOR = 100


def show(comparison: Comparison) -> None:
    """The sums, and at most MAX_SHOWN of what differs."""
    console.print(
        f"Compared {comparison.renewals} renewals with {comparison.captures} captures and "
        f"{comparison.refunds} refunds at the PSP and {comparison.top_ups} top-ups at the carrier.",
        soft_wrap=True,
    )
    console.print(totals_table(comparison))
    if comparison.is_balanced:
        same = (
            "Every book tells the same, row by row."
            if comparison.renewals
            else "There was nothing to compare."
        )
        console.print(same)
        return
    show_discrepancies(comparison)


def totals_table(comparison: Comparison) -> Table:
    """captured = applied + refunded + held + disputed, a line per currency."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("captured", "= applied", "+ refunded", "+ held", "+ disputed"):
        table.add_column(heading, justify="right")
    for total in comparison.totals:
        if any(total[1:]):
            table.add_row(total.currency, *(major(amount) for amount in total[1:]))
    return table


def major(amount_minor: int) -> str:
    """Minor units as people read them, for currencies of two decimals."""
    whole, cents = divmod(abs(amount_minor), MINOR_PER_MAJOR)
    return f"{'-' if amount_minor < 0 else ''}{whole:,}.{cents:02d}"


def show_discrepancies(comparison: Comparison) -> None:
    """What differs, with what each book says about it."""
    found = comparison.discrepancies
    console.print(f"[red]The books differ in {len(found)} places:[/red]")
    for one in found[:MAX_SHOWN]:
        about = f"renewal {one.renewal_id}: " if one.renewal_id else ""
        console.print(f"  {about}{one.sentence} [{one.kind}]", soft_wrap=True, markup=False)
        for book, says in one.says:
            console.print(f"    {book} says: {says}", soft_wrap=True, markup=False)
    if len(found) > MAX_SHOWN:
        console.print(f"  and {len(found) - MAX_SHOWN} more.")
