"""What usage exports."""

from prometheus_client import Counter, Gauge

from services.usage.domain.arrivals import TAKEN
from services.usage.domain.records import REASONS
from services.usage.domain.triggers import KINDS
from shared.observability.metrics import children

_RECORDS = children(
    Counter("recarga_usage_records_total", "Usage records by what became of them", ["result"])
)
_REPORTS = Counter(
    "recarga_usage_balance_reports_total", "Balances reported by carriers, repeated ones included"
)
_BYTES = Counter("recarga_usage_bytes_total", "Bytes counted against subscriptions")
_OVERRUN = Counter("recarga_usage_overrun_bytes_total", "Bytes used while no bucket had anything left")
_TRIGGERS = children(Counter("recarga_usage_triggers_total", "Triggers said, by kind", ["kind"]))
_TOP_UPS = children(Counter("recarga_usage_top_ups_total", "Top-ups seen, by result", ["result"]))
_QUARANTINED = children(
    Counter("recarga_usage_quarantined_records_total", "Usage records set aside, by reason", ["reason"])
)
_FOREIGN_DEVICES = Counter(
    "recarga_usage_foreign_devices_total", "Devices told of that a subscription is not bound to"
)
KEPT = Gauge("recarga_usage_kept_records", "Usage records whose ICCID belongs to no known subscription")


def records(result: str, count: int = 1) -> None:
    _RECORDS(result).inc(count)


def quarantined(reason: str, count: int = 1) -> None:
    _QUARANTINED(reason).inc(count)


def foreign_device() -> None:
    _FOREIGN_DEVICES.inc()


def reports(count: int) -> None:
    _REPORTS.inc(count)


def consumed(size: int, overrun: int) -> None:
    """Bytes counted, and how many of them no bucket covered."""
    _BYTES.inc(size)
    _OVERRUN.inc(overrun)


def triggers(kind: str) -> None:
    _TRIGGERS(kind).inc()


def top_ups(applied: int, repeated: int) -> None:
    _TOP_UPS("applied").inc(applied)
    _TOP_UPS("repeated").inc(repeated)


for _result in TAKEN:
    records(_result, 0)
for _reason in REASONS:
    quarantined(_reason, 0)
for _kind in KINDS:
    _TRIGGERS(_kind)
top_ups(0, 0)
