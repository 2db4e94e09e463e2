"""python -m deploy.local.shadow: last month's usage and charges in, what we would have done otherwise out."""

import asyncio
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from deploy.local.shadow.comparison import Comparison
from deploy.local.shadow.files import Files, Sold, look_for, read_all, read_offerings, read_prices
from deploy.local.shadow.month import World
from deploy.local.shadow.progress import Progress
from deploy.local.shadow.running import Found, read
from deploy.local.shadow.shelf import Shelf
from deploy.local.shadow.sources import addresses, asked, told
from services.renewal.domain.policy import POLICY
from services.usage.domain.carrier import Carrier
from services.usage.domain.records import Bounds
from services.usage.domain.triggers import Wants
from services.usage.settings import Settings
from shared.imports.lines import Unreadable
from shared.imports.rows import BadHeader

_USAGE = Settings.model_fields
CANNOT_BE_READ = 2
MAX_RECORD_BYTES = 2**40


def main(
    usage: Annotated[Path, typer.Option(help="Usage records: docs/usage-csv.md; may be gzip, as all files.")],
    charges: Annotated[Path, typer.Option(help="What they charged: docs/adoption.md.")],
    subscriptions: Annotated[
        Path | None, typer.Option(help="As the import takes them. Left out: what the running services know.")
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="The same.")] = None,
    offerings: Annotated[Path | None, typer.Option(help="The same.")] = None,
    mandates: Annotated[
        Path | None, typer.Option(help="The same; none where subscriptions, rules and offerings are files.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Like mandates; without them amounts are not compared.")
    ] = None,
    payment_methods: Annotated[
        Path | None, typer.Option(help="Like mandates; without them every method is its payer's own.")
    ] = None,
    buckets: Annotated[
        Path | None, typer.Option(help="What was left when the month began: only a file can tell.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Every line, as CSV.")] = Path("shadow.csv"),
    within_hours: Annotated[
        int, typer.Option(min=0, max=744, help="So far apart two charges are about the same.")
    ] = 24,
    threshold_percent: Annotated[int, typer.Option(min=0, max=100, help="The carrier's threshold.")] = 10,
    predicted_seconds: Annotated[int, typer.Option(min=0, help="The carrier's margin of prediction.")] = 900,
    expiring_seconds: Annotated[
        int, typer.Option(min=0, help="How long before the end is said that data lapses.")
    ] = 86_400,
    owes_overrun: Annotated[
        bool,
        typer.Option("--owes-overrun", help="The next bucket pays what was used with none left."),
    ] = False,
) -> None:
    """Exit status: 0 the comparison is made, 2 a file cannot be read, or a service that is asked instead."""
    files = Files(usage, charges, subscriptions, rules, offerings, mandates, prices, payment_methods, buckets)
    wants = Wants(
        threshold_percent or None,
        predicted_seconds=predicted_seconds or None,
        expiring_seconds=expiring_seconds or None,
    )
    carrier = Carrier("records", "next_bucket" if owes_overrun else "written_off", wants)
    try:
        look_for(files)
        wanted = asked(files)
        urls = addresses(wanted, Home.at(), os.environ) if wanted else {}
        compare(files, urls, out, carrier, timedelta(hours=within_hours))
    except (BadHeader, Unreadable, LocalStackError, OSError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(CANNOT_BE_READ) from None


def compare(files: Files, urls: Mapping[str, str], out: Path, carrier: Carrier, within: timedelta) -> None:
    """Write the lines to `out`, the sums of each subscription beside it, and print the summary.

    `urls`: where the services answer that know what has no file.
    """
    bounds = Bounds(MAX_RECORD_BYTES, timedelta(days=1), 400)
    with TemporaryDirectory(prefix="recarga-shadow-") as folder, Shelf(Path(folder)) as shelf:
        sold = gather(files, urls, shelf)
        read_all(files, shelf, bounds, print)
        began_at, ends_at = shelf.span()
        late_records = timedelta(seconds=_USAGE["usage_late_records_seconds"].default)
        world = World(sold.offerings, sold.prices, carrier, late_records, POLICY, within, ends_at)
        sums = out.with_name(f"{out.stem}.subscriptions.csv")
        totals = Comparison(shelf, world, began_at).write(out, sums)
        of_nobody = shelf.records_of_nobody()
    if of_nobody:
        print(f"{of_nobody} usage records are of ICCIDs that no subscription has.")
    hours = int(within.total_seconds()) // 3600
    print(f"From {began_at.isoformat()} to {ends_at.isoformat()}; charges up to {hours} h apart go together.")
    for line in totals.told():
        print(line)
    print(f"Every line: {out}. Sums of each subscription: {sums}.")


def gather(files: Files, urls: Mapping[str, str], shelf: Shelf) -> Sold:
    """What is sold; and, on the shelf, what only the services know. Says what comes from where."""
    offerings = {} if files.offerings is None else read_offerings(files.offerings, print)
    prices = None if files.prices is None else read_prices(files.prices, print)
    found = Found()
    if wanted := asked(files):
        with Progress() as progress:
            found = asyncio.run(read(wanted, urls, shelf, offerings, progress))
    print(told(files, found.counts))
    return Sold.at(offerings | found.offerings, found.prices if "prices" in found.counts else prices)


if __name__ == "__main__":
    typer.run(main)
