"""Everything that is sold with every price it ever had: what a request is priced from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.catalog.offerings.domain.offering import EVER, OfferingVersion
from services.catalog.prices.domain.schedule import Price
from shared.contracts.message import Grant


@dataclass(frozen=True, slots=True)
class Sale:
    """A version of an offering with the grant that its top-ups carry."""

    version: int
    effective_from: datetime
    on_sale: bool
    grant: Grant


@dataclass(frozen=True, slots=True)
class Listing:
    """One offering: its versions and, by currency, its prices; both newest beginning first."""

    sales: tuple[Sale, ...] = ()
    prices: Mapping[str, tuple[Price, ...]] = field(default_factory=dict)

    def sale(self, at: datetime) -> Sale | None:
        """The version in force for a request made then."""
        for sale in self.sales:
            if sale.effective_from <= at:
                return sale
        return None

    def price(self, currency: str, at: datetime) -> Price | None:
        """The price in that currency for a request made then."""
        for price in self.prices.get(currency, ()):
            if price.holds(at):
                return price
        return None

    def currencies(self, at: datetime) -> list[str]:
        """The currencies in which the offering had a price then."""
        return sorted(currency for currency in self.prices if self.price(currency, at) is not None)


@dataclass(frozen=True, slots=True)
class PriceList:
    """Complete for every request made until `known_until`: nothing that is still to come can change those."""

    revision: int = 0
    known_until: datetime = EVER
    listings: Mapping[str, Listing] = field(default_factory=dict)

    def extended(
        self,
        versions: Iterable[OfferingVersion],
        prices: Iterable[Price],
        revision: int,
        known_until: datetime,
    ) -> "PriceList":
        """The list with these changes; the same change twice is the change once."""
        listings = dict(self.listings)
        for version in versions:
            listing = listings.get(version.offering_id, Listing())
            listings[version.offering_id] = Listing(_with_sale(listing.sales, version), listing.prices)
        for price in prices:
            listing = listings.get(price.offering_id, Listing())
            listings[price.offering_id] = Listing(listing.sales, _with_price(listing.prices, price))
        return PriceList(revision, known_until, listings)


def _with_sale(sales: tuple[Sale, ...], version: OfferingVersion) -> tuple[Sale, ...]:
    sale = Sale(
        version=version.version,
        effective_from=version.effective_from,
        on_sale=version.status == "on_sale",
        grant=Grant(
            data_bytes=version.data_bytes,
            validity_seconds=version.validity_seconds,
            stacking=version.stacking,
            product_code=version.product_code,
        ),
    )
    kept = [other for other in sales if other.version != sale.version]
    return tuple(sorted([*kept, sale], key=lambda each: (each.effective_from, each.version), reverse=True))


def _with_price(prices: Mapping[str, tuple[Price, ...]], price: Price) -> dict[str, tuple[Price, ...]]:
    # A scheduled price may still have changed its currency: it must go from where it was.
    kept = {
        currency: tuple(other for other in known if other.price_id != price.price_id)
        for currency, known in prices.items()
    }
    listed = [*kept.get(price.currency, ()), price]
    kept[price.currency] = tuple(sorted(listed, key=lambda each: each.effective_from, reverse=True))
    return kept
