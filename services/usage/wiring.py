"""What usage is connected to: topics to handlers, loops, routes."""

from datetime import timedelta

from services.usage.domain.records import Bounds
from services.usage.handlers import ApplyTopUps, CountUsage, ProjectSubscriptions
from services.usage.kept_records import KeptRecords
from services.usage.routes import routes
from services.usage.settings import Settings
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.topups import TopUpApplied
from shared.contracts.usage_records import BalanceReported, UsageRecorded
from shared.messaging.consumer import Consumer
from shared.messaging.transaction import Transactions
from shared.runner import Loop, Service

UNHURRIED_SECONDS = 0.25
"""The carrier has granted the data already; here it is only shown."""


def build(settings: Settings, transactions: Transactions) -> Service:
    """The usage service."""
    kept = KeptRecords(transactions, settings.usage_max_kept_records)
    bounds = Bounds(settings.usage_max_record_bytes, timedelta(seconds=settings.usage_max_ahead_seconds))
    late_records = timedelta(seconds=settings.usage_late_records_seconds)
    return Service(
        title="Usage",
        description="How much data is left: usage records in, buckets down, triggers out.",
        consumers=(
            Consumer(
                "subscriptions",
                topics=("subscriptions.v1",),
                messages=(SubscriptionChanged,),
                handle=ProjectSubscriptions(kept.appeared),
            ),
            Consumer(
                "top-ups",
                topics=("topups.v1",),
                messages=(TopUpApplied,),
                handle=ApplyTopUps(settings.usage_threshold_percent, late_records),
                gather_seconds=UNHURRIED_SECONDS,
            ),
            Consumer(
                "records",
                topics=("usage-records.v1",),
                messages=(UsageRecorded, BalanceReported),
                handle=CountUsage(bounds, kept),
            ),
        ),
        loops=(Loop("kept records", kept.run),),
        routers=(routes(transactions, settings.usage_threshold_percent, late_records),),
    )
