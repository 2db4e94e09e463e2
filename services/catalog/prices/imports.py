"""Import of prices, after that of offerings: python -m services.catalog.prices.imports FILE."""

from services.catalog.prices.bodies import PriceItem
from shared.imports.command import main
from shared.imports.kinds import Kind

PRICES = Kind(
    name="prices",
    item=PriceItem,
    service="catalog",
    url="http://127.0.0.1:18002",
    path="/v1/prices/bulk",
    unique=(("offering_id", "price_id"),),
    in_flight=1,  # only the very first price of an offering may begin in the past: the order of lines decides
)

if __name__ == "__main__":
    main(PRICES)
