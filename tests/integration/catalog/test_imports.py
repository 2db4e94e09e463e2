"""Offerings and then their prices, from CSV."""

from pathlib import Path

from tests.integration.catalog.conftest import new_offering_id
from tests.integration.importing import Importing
from tests.integration.wired import Wired

OFFERINGS = (
    "offering_id,name,destination,data_bytes,validity_seconds,product_code,brands,subscription_statuses"
)
PRICES = "offering_id,price_id,currency,amount_minor,effective_from"


async def test_offerings_come_with_their_prices_from_two_files(catalog: Wired, tmp_path: Path) -> None:
    offering_id = new_offering_id()
    offerings = Importing("services.catalog.offerings.imports", catalog, tmp_path / "offerings.csv")
    offerings.write(
        OFFERINGS,
        f'{offering_id},"Cuba, 1 GB",CU,1000000000,604800,cu1,luz;ola,active;expired',
        f"{new_offering_id()},Cuba,Cuba,1000000000,604800,cu1,,",
        f"{new_offering_id()},Cuba,CU,1000000000,604800,cu1,,asleep",
    )
    assert (await offerings.run()).status == 3
    assert list(dict.fromkeys((line, column) for line, column, _ in offerings.refused())) == [
        (3, "destination"),
        (4, "subscription_statuses"),
    ]
    prices = Importing("services.catalog.prices.imports", catalog, tmp_path / "prices.csv")
    prices.write(
        PRICES,
        f"{offering_id},first,USD,1200,2026-01-01T00:00:00Z",
        f"{offering_id},late,USD,1300,2026-02-01T00:00:00Z",
        f"{offering_id},next,USD,1400,2100-01-01T00:00:00Z",
        "nothing,first,USD,1200,2026-01-01T00:00:00Z",
    )
    for _ in range(2):
        assert (await prices.run()).status == 3
        refused = [(line, why.split(" ")[:4]) for line, _, why in prices.refused()]
        assert refused == [(3, ["A", "price", "begins", "at"]), (5, ["There", "is", "no", "offering"])]

    shown = (await catalog.request("GET", f"/v1/offerings/{offering_id}")).body
    assert (shown["name"], shown["brands"], shown["version"]) == ("Cuba, 1 GB", ["luz", "ola"], 1)
    assert [(price["price_id"], price["amount_minor"]) for price in shown["schedule"]] == [
        ("first", 1200),
        ("next", 1400),
    ]
