"""Import of offerings: python -m services.catalog.offerings.imports FILE. Prices have a file of their own."""

from services.catalog.offerings.bodies import OfferingItem
from shared.imports.command import main
from shared.imports.kinds import Kind

OFFERINGS = Kind(
    name="offerings",
    item=OfferingItem,
    service="catalog",
    url="http://127.0.0.1:18002",
    path="/v1/offerings/bulk",
    unique=(("offering_id",),),
)

if __name__ == "__main__":
    main(OFFERINGS)
