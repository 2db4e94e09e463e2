"""What usage exports."""

from collections.abc import Iterable
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

from services.usage.domain import crossings
from services.usage.domain.arrivals import TAKEN
from services.usage.domain.reconcile import VERDICTS, Compared
from services.usage.domain.records import REASONS
from services.usage.domain.triggers import KINDS
from services.usage.polls.gateways.carrier import AnswerKind
from shared.observability.metrics import children

_RECORDS = children(
    Counter("recarga_usage_records_total", "Usage records by what became of them", ["result"])
)
_REPORTS = children(
    Counter("recarga_usage_balance_reports_total", "Balances reported by carriers, by result", ["result"])
)
_CROSSINGS = children(
    Counter("recarga_usage_crossings_total", "Thresholds crossed by word of carriers, by result", ["result"])
)
_POLLS = children(
    Counter("recarga_usage_polls_total", "Balances that carriers were asked for, by answer", ["result"])
)
_DRIFT = children(
    Histogram(
        "recarga_usage_drift_bytes",
        "By how much carriers and we differ, by whether theirs or ours is more",
        ["carrier", "more"],
        buckets=[0, *(float(2**power) for power in range(10, 41, 3))],
    )
)
_CORRECTED = children(
    Counter(
        "recarga_usage_corrected_bytes_total",
        "Bytes given to buckets or taken because carriers say so, and those that no bucket could take",
        ["carrier", "how"],
    )
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


def report(verdict: str, count: int = 1) -> None:
    _REPORTS(verdict).inc(count)


def poll(kind: str) -> None:
    _POLLS(kind).inc()


def crossing(result: str, count: int = 1) -> None:
    _CROSSINGS(result).inc(count)


def drifts(compared: Iterable[tuple[str, Compared]]) -> None:
    """By carrier, what was compared. Nobody has more where there is no drift: that counts as ours."""
    for carrier, each in compared:
        _DRIFT(carrier, "theirs" if each.drift_bytes > 0 else "ours").observe(abs(each.drift_bytes))
        how = "given" if each.corrected_bytes > 0 else "taken"
        _CORRECTED(carrier, how).inc(abs(each.corrected_bytes))
        if each.unplaced_bytes:
            _CORRECTED(carrier, "unplaced").inc(abs(each.unplaced_bytes))


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
for _verdict in VERDICTS:
    report(_verdict, 0)
for _crossing in crossings.RESULTS:
    crossing(_crossing, 0)
for _answer in get_args(AnswerKind):
    _POLLS(_answer)
for _kind in KINDS:
    _TRIGGERS(_kind)
top_ups(0, 0)
