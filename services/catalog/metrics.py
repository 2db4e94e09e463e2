"""What the catalog exports."""

from typing import get_args

from prometheus_client import Counter, Gauge

from services.catalog.prices.domain.pricing import Reason
from shared.observability.metrics import children

PRICED = Counter("recarga_catalog_renewals_priced_total", "Renewals priced, repeated requests included")
REJECTED = children(
    Counter("recarga_catalog_renewals_rejected_total", "Renewals that were not priced, by reason", ["reason"])
)
AHEAD = Counter(
    "recarga_catalog_requests_ahead_total",
    "Requests made after all that is known of prices: a clock is wrong",
)
PRICE_LIST_REVISION = Gauge("recarga_catalog_price_list_revision", "Changes of the price list that are known")
PRICE_LIST_KNOWN_UNTIL = Gauge(
    "recarga_catalog_price_list_known_until_seconds",
    "Unix time until which requests can be priced without asking the database",
)
CHANGES = children(
    Counter("recarga_catalog_changes_total", "Changes accepted, by what was changed", ["kind"])
)

for _reason in get_args(Reason):
    REJECTED(_reason)
for _kind in ("offering", "price", "withdrawal", "device", "platform"):
    CHANGES(_kind)
