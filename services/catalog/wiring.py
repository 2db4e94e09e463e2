"""What the catalog is connected to: topics to handlers, the price list's refresh, routes."""

from datetime import timedelta

from services.catalog.devices import routes as devices
from services.catalog.offerings import routes as offerings
from services.catalog.offerings.handlers import project_subscriptions
from services.catalog.prices import routes as prices
from services.catalog.prices.current import CurrentPriceList
from services.catalog.prices.handlers import PriceRenewals
from services.catalog.settings import Settings
from shared.contracts.renewals import RenewalRequested
from shared.contracts.subscriptions import SubscriptionChanged
from shared.messaging.consumer import Consumer
from shared.messaging.transaction import Transactions
from shared.runner import Loop, Service


def build(settings: Settings, transactions: Transactions) -> Service:
    """The catalog service."""
    notice = timedelta(seconds=settings.catalog_price_notice_seconds)
    lead = timedelta(seconds=settings.catalog_change_lead_seconds)
    skew = timedelta(seconds=settings.catalog_clock_skew_seconds)
    current = CurrentPriceList(transactions.pool, lead - skew)
    return Service(
        title="Catalog",
        description="What is sold, at what price, to whom, and on which devices.",
        consumers=(
            Consumer(
                "pricing",
                topics=("renewals.v1",),
                messages=(RenewalRequested,),
                handle=PriceRenewals(current),
                stateless=True,
            ),
            Consumer(
                "subscriptions",
                topics=("subscriptions.v1",),
                messages=(SubscriptionChanged,),
                handle=project_subscriptions,
            ),
        ),
        starts=(current.refresh,),
        loops=(Loop("price list", current.run),),
        routers=(
            offerings.routes(transactions, lead),
            prices.routes(transactions, notice, lead),
            devices.routes(transactions),
        ),
    )
