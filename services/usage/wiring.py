"""What usage is connected to: topics to handlers, loops, routes."""

from datetime import timedelta

from services.usage import report_routes
from services.usage.carriers import routes as carrier_routes
from services.usage.counting import Carriers
from services.usage.days import Days
from services.usage.domain.carrier import Carrier
from services.usage.domain.reconcile import Bounds as ReportBounds
from services.usage.domain.records import Bounds
from services.usage.domain.triggers import Wants
from services.usage.handlers import ApplyTopUps, CountUsage, ProjectSubscriptions
from services.usage.history import routes as history_routes
from services.usage.kept_records import KeptRecords
from services.usage.lapses import Lapses
from services.usage.polls.enrolment import Enrolment
from services.usage.polls.wiring import Polls
from services.usage.records import routes as record_routes
from services.usage.reports import Reports
from services.usage.routes import routes
from services.usage.rules import ProjectRules
from services.usage.settings import Settings
from shared.contracts.renewal_rules import RenewalRuleChanged
from shared.contracts.subscriptions import SubscriptionChanged
from shared.contracts.topups import TopUpApplied
from shared.contracts.usage_records import BalanceReported, ThresholdCrossed, UsageRecorded
from shared.messaging.consumer import Consumer
from shared.messaging.transaction import Transactions
from shared.runner import Loop, Service

UNHURRIED_SECONDS = 0.25
"""The carrier has granted the data already; here it is only shown."""


def build(settings: Settings, transactions: Transactions) -> Service:
    """The usage service."""
    carriers = Carriers(Carrier("records", "written_off", _wants(settings)))
    days = Days(transactions, settings.usage_record_days)
    bounds = Bounds(
        settings.usage_max_record_bytes,
        timedelta(seconds=settings.usage_max_ahead_seconds),
        settings.usage_record_days,
    )
    late_records = timedelta(seconds=settings.usage_late_records_seconds)
    settle = timedelta(seconds=settings.usage_settle_seconds)
    reports = Reports(carriers, ReportBounds(late_records, settle), settings.usage_max_kept_records)
    kept = KeptRecords(transactions, carriers, reports, settings.usage_max_kept_records)
    counting = CountUsage(bounds, carriers, kept, reports)
    polls = Polls(settings, transactions, reports)
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
                "rules",
                topics=(RenewalRuleChanged.topic,),
                messages=(RenewalRuleChanged,),
                handle=ProjectRules(carriers),
                gather_seconds=UNHURRIED_SECONDS,
            ),
            Consumer(
                "top-ups",
                topics=("topups.v1",),
                messages=(TopUpApplied,),
                handle=ApplyTopUps(carriers, late_records),
                gather_seconds=UNHURRIED_SECONDS,
            ),
            Consumer(
                "records",
                topics=("usage-records.v1",),
                messages=(UsageRecorded, BalanceReported, ThresholdCrossed),
                handle=counting,
                max_records=settings.usage_batch_records,
            ),
        ),
        loops=(
            Loop("kept records", kept.run),
            Loop("lapses", Lapses(transactions, carriers).run),
            Loop("days", days.run),
            Loop("polls", polls.worker.run),
            Loop("polls begun", Enrolment(transactions).run),
        ),
        starts=(days.prepare,),
        stops=(polls.close,),
        routers=(
            routes(transactions, carriers, late_records),
            carrier_routes.routes(transactions, carriers),
            report_routes.routes(transactions, reports),
            history_routes.routes(transactions, carriers, bounds),
            record_routes.routes(transactions, counting, settings.usage_batch_records),
        ),
        line_paths=(record_routes.PATH,),
    )


def _wants(settings: Settings) -> Wants:
    """Zero seconds ahead is no warning at all."""
    return Wants(
        threshold_percent=settings.usage_threshold_percent,
        predicted_seconds=settings.usage_predicted_seconds or None,
        expiring_seconds=settings.usage_expiring_seconds or None,
    )
