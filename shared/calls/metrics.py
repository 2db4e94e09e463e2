"""What every call worker exports."""

from prometheus_client import Counter, Gauge, Histogram

from shared.observability.metrics import LATENCY_BUCKETS_SECONDS

CALL_SECONDS = Histogram(
    "recarga_call_seconds", "Duration of one outside call", ["worker"], buckets=LATENCY_BUCKETS_SECONDS
)
IN_FLIGHT = Gauge("recarga_calls_in_flight", "Outside calls under way or waiting in this process", ["worker"])
CLAIMED = Counter(
    "recarga_calls_claimed_total", "Rows taken over by polling, because nobody held a lease", ["worker"]
)
RECORD_FAILURES = Counter(
    "recarga_call_record_failures_total", "Outcomes that could not be written at once", ["worker"]
)
