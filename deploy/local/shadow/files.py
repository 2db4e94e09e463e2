"""The files of a month, in the form of the imports: read, judged by the same rules, and put on the shelf."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self

import orjson

from deploy.local.shadow.charges import CHARGES, ChargeItem
from deploy.local.shadow.shelf import Shelf, microseconds
from services.catalog.offerings.bodies import OfferingItem
from services.catalog.offerings.domain.offering import EVER, OfferingVersion
from services.catalog.offerings.imports import OFFERINGS
from services.catalog.prices.bodies import PriceItem
from services.catalog.prices.domain.price_list import PriceList
from services.catalog.prices.domain.schedule import Price
from services.catalog.prices.imports import PRICES
from services.payment.methods.imports import PAYMENT_METHODS
from services.provisioning.subscriptions.imports import SUBSCRIPTIONS
from services.renewal.rules.imports import RULES
from services.renewal.rules.mandate_imports import MANDATES
from services.usage.domain.records import Bounds, refusal
from services.usage.imports import BUCKETS
from services.usage.records.imports import USAGE
from shared.contracts.usage_records import UsageRecorded
from shared.imports.kinds import Kind
from shared.imports.lines import Source
from shared.imports.reading import Reader, Row

Told = Callable[[str], None]

_LONG: Final = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Files:
    """Where each kind is; of what is left out the services are asked, or nothing is known."""

    usage: Path
    charges: Path
    subscriptions: Path | None = None
    rules: Path | None = None
    offerings: Path | None = None
    mandates: Path | None = None
    prices: Path | None = None
    payment_methods: Path | None = None
    buckets: Path | None = None


@dataclass(frozen=True, slots=True)
class Sold:
    """What was sold, and at what price; None: no prices were given."""

    offerings: dict[str, OfferingItem]
    prices: PriceList | None

    @classmethod
    def at(cls, offerings: dict[str, OfferingItem], prices: list[Price] | None) -> Self:
        """All of them: they are few."""
        if prices is None:
            return cls(offerings, None)
        versions = [_version(item) for item in offerings.values()]
        return cls(offerings, PriceList().extended(versions, prices, 1, EVER + _LONG))


def read_offerings(path: Path, tell: Told) -> dict[str, OfferingItem]:
    return {
        item.offering_id: item
        for rows in _chunks(OFFERINGS, path, tell)
        for item in _items(OfferingItem, rows)
    }


def read_prices(path: Path, tell: Told) -> list[Price]:
    return [
        item.price(item.offering_id, item.price_id)
        for rows in _chunks(PRICES, path, tell)
        for item in _items(PriceItem, rows)
    ]


def _version(item: OfferingItem) -> OfferingVersion:
    return OfferingVersion(
        offering_id=item.offering_id,
        version=1,
        effective_from=EVER,
        data_bytes=item.data_bytes,
        validity_seconds=item.validity_seconds,
        stacking=item.stacking,
        product_code=item.product_code,
        status=item.status,
    )


def look_for(files: Files) -> None:
    """Before anything takes long.

    Raises:
        Unreadable: a file that is named is not there.
    """
    for name in Files.__slots__:
        path = getattr(files, name)
        if path is not None:
            with Source(path):
                pass


def read_all(files: Files, shelf: Shelf, bounds: Bounds, tell: Told) -> None:
    """Everything else, onto the shelf, which is complete then."""
    if files.subscriptions is not None:
        for rows in _chunks(SUBSCRIPTIONS, files.subscriptions, tell):
            shelf.put("put_subscription", [_named(row, "subscription_id", "iccid") for row in rows])
    if files.rules is not None:
        for rows in _chunks(RULES, files.rules, tell):
            shelf.put("put_rule", [_named(row, "subscription_id") for row in rows])
    if files.mandates is not None:
        for rows in _chunks(MANDATES, files.mandates, tell):
            shelf.put("put_mandate", [_named(row, "subscription_id", "mandate_id") for row in rows])
    if files.buckets is not None:
        for rows in _chunks(BUCKETS, files.buckets, tell):
            shelf.put("put_bucket", [_named(row, "subscription_id", "bucket_id") for row in rows])
    if files.payment_methods is not None:
        for rows in _chunks(PAYMENT_METHODS, files.payment_methods, tell):
            shelf.put("put_method", [_method(row) for row in rows])
    for rows in _chunks(CHARGES, files.charges, tell):
        shelf.put("put_charge", [_charge(item) for item in _items(ChargeItem, rows)])
    _read_usage(files.usage, shelf, bounds, tell)
    shelf.complete()


def _read_usage(path: Path, shelf: Shelf, bounds: Bounds, tell: Told) -> None:
    records = repeats = absurd = 0
    for rows in _chunks(USAGE, path, tell):
        read = [UsageRecorded.model_validate_json(orjson.dumps(row.item)) for row in rows]
        # As if each had been read when it was complete: it is neither late nor of the future.
        good = [record for record in read if refusal(record, bounds, record.ended_at) is None]
        new = shelf.put_records(good)
        records, repeats, absurd = records + new, repeats + len(good) - new, absurd + len(read) - len(good)
    tell(f"{records} usage records count, {repeats} are repeats, {absurd} cannot be true.")


def _chunks(kind: Kind, path: Path, tell: Told) -> Iterator[list[Row]]:
    """The good lines, a thousand at a time; of the others how many there are, and the first."""
    refused, first = 0, ""
    with Source(path) as source:
        for chunk in Reader(kind, source.lines()).chunks():
            for fault in chunk.refusals:
                first = first or f"line {fault.line}, {fault.column or 'all of it'}: {fault.why}"
                refused += 1
            yield chunk.rows
    if refused:
        tell(f"{path}: {refused} faults, their lines are left out. The first: {first}")


def _items(item: Any, rows: Sequence[Row]) -> list[Any]:
    return [item.model_validate_json(orjson.dumps(row.item)) for row in rows]


def _named(row: Row, *columns: str) -> tuple[Any, ...]:
    return (*(row.item[column] for column in columns), orjson.dumps(row.item))


def _method(row: Row) -> tuple[Any, ...]:
    return row.item["payment_method_id"], row.item["payer_id"], "active"


def _charge(item: ChargeItem) -> tuple[Any, ...]:
    at = microseconds(item.charged_at)
    return (item.subscription_id, item.iccid, at, item.amount_minor, item.currency, item.offering_id)
