"""What the demo's carrier sells: eSIM plans for Cuba, and the devices that can hold them."""

from __future__ import annotations

from typing import Final, NamedTuple

GIB: Final = 2**30
DAY_SECONDS: Final = 86_400
DESTINATION: Final = "CU"
CARRIER: Final = "cubacel"
BRANDS: Final = ("palma", "malecon")
CURRENCIES: Final = ("USD", "EUR")
Json = dict[str, object]


class Plan(NamedTuple):
    """One offering with its price in each of CURRENCIES, in minor units."""

    offering_id: str
    name: str
    plan: str
    data_bytes: int
    days: int
    stacking: str
    product_code: str
    amounts_minor: tuple[int, int]

    def price(self, currency: str) -> int:
        return self.amounts_minor[CURRENCIES.index(currency)]


PLANS: Final = (
    Plan("cuba-daily-1gb", "Cuba, 1 GB/day", "daily", GIB, 1, "replace", "CU-D1", (450, 420)),
    Plan("cuba-daily-3gb", "Cuba, 3 GB, 3 days", "daily", 3 * GIB, 3, "queue", "CU-D3", (990, 920)),
    Plan("cuba-monthly-5gb", "Cuba, 5 GB/month", "monthly", 5 * GIB, 30, "extend", "CU-M5", (1990, 1850)),
    Plan("cuba-monthly-20gb", "Cuba, 20 GB/month", "monthly", 20 * GIB, 30, "extend", "CU-M20", (4990, 4650)),
    Plan("cuba-data-2gb", "Cuba, 2 GB, 90 days", "data", 2 * GIB, 90, "extend", "CU-B2", (1290, 1190)),
    Plan("cuba-data-10gb", "Cuba, 10 GB, 180 days", "data", 10 * GIB, 180, "extend", "CU-B10", (3490, 3250)),
)  # fmt: skip

DEVICES: Final = (
    ("35391811", "Apple", "iPhone 15"),
    ("35209900", "Samsung", "Galaxy S24"),
    ("35847631", "Google", "Pixel 8"),
    ("86412906", "Xiaomi", "14 Pro"),
)
"""TAC, make, model: all of them hold eSIM profiles."""

PLATFORMS: Final = {"ios": "17.0", "android": "13"}


def offering_item(plan: Plan) -> Json:
    """The plan as POST /v1/offerings/bulk takes it."""
    return {
        "offering_id": plan.offering_id,
        "name": plan.name,
        "plan": plan.plan,
        "destination": DESTINATION,
        "data_bytes": plan.data_bytes,
        "validity_seconds": plan.days * DAY_SECONDS,
        "stacking": plan.stacking,
        "product_code": plan.product_code,
        "carriers": [CARRIER],
    }


def price_items(plan: Plan, effective_from: str) -> list[Json]:
    """Its prices as POST /v1/prices/bulk takes them."""
    return [
        {
            "offering_id": plan.offering_id,
            "price_id": f"{plan.offering_id}-{currency.lower()}",
            "currency": currency,
            "amount_minor": amount,
            "effective_from": effective_from,
        }
        for currency, amount in zip(CURRENCIES, plan.amounts_minor, strict=True)
    ]
