"""What the messaging of every service exports. Label children are made once and kept."""

from prometheus_client import Counter, Gauge, Histogram

from shared.observability.metrics import LATENCY_BUCKETS_SECONDS, SIZE_BUCKETS

_PUBLISH_FAILURES = Counter(
    "recarga_outbox_publish_failures_total", "Publications that Kafka did not acknowledge", ["service"]
)
_RECOVERED = Counter(
    "recarga_outbox_recovered_total", "Events published late, from rows left in the outbox", ["service"]
)
_ROWS = Gauge("recarga_outbox_rows", "Events in the outbox", ["service"])
_OLDEST = Gauge("recarga_outbox_oldest_seconds", "Age of the oldest event in the outbox", ["service"])
_RECORDS = Counter(
    "recarga_consumer_records_total", "Records by what became of them", ["service", "consumer", "result"]
)
_BATCH_SECONDS = Histogram(
    "recarga_consumer_batch_seconds",
    "Time from a batch read to its events published",
    ["service", "consumer"],
    buckets=LATENCY_BUCKETS_SECONDS,
)
_BATCH_RECORDS = Histogram(
    "recarga_consumer_batch_records",
    "Records in a batch",
    ["service", "consumer"],
    buckets=SIZE_BUCKETS,
)
_RETRIES = Counter(
    "recarga_consumer_batch_retries_total", "Batches that failed and were read again", ["service", "consumer"]
)
_LAG = Gauge(
    "recarga_consumer_lag_records",
    "Records not read yet",
    ["service", "consumer", "topic", "partition"],
)
_DEAD_LETTERS = Counter(
    "recarga_dead_letters_total", "Records that could not be read", ["service", "consumer", "topic"]
)
_SET_ASIDE = Gauge("recarga_set_aside_keys", "Keys that wait to be released", ["service", "consumer"])


class OutboxMetrics:
    """One service's outbox."""

    def __init__(self, service: str) -> None:
        self.publish_failures = _PUBLISH_FAILURES.labels(service)
        self.recovered = _RECOVERED.labels(service)
        self.rows = _ROWS.labels(service)
        self.oldest_seconds = _OLDEST.labels(service)


class ConsumerMetrics:
    """One consumer."""

    def __init__(self, service: str, consumer: str) -> None:
        self._names = (service, consumer)
        self.batch_seconds = _BATCH_SECONDS.labels(service, consumer)
        self.batch_records = _BATCH_RECORDS.labels(service, consumer)
        self.retries = _RETRIES.labels(service, consumer)
        self.handled = _RECORDS.labels(service, consumer, "handled")
        self.set_aside = _RECORDS.labels(service, consumer, "set_aside")
        self.set_aside_keys = _SET_ASIDE.labels(service, consumer)
        self._results = {
            why: _RECORDS.labels(service, consumer, why)
            for why in ("dead_letter", "not_wanted", "unknown_type", "tombstone")
        }

    def result(self, why: str) -> Counter:
        """The counter of records that ended otherwise than handled."""
        return self._results[why]

    def dead_letter(self, topic: str) -> None:
        self._results["dead_letter"].inc()
        _DEAD_LETTERS.labels(*self._names, topic).inc()

    def lag(self, topic: str, partition: int, records: int) -> None:
        _LAG.labels(*self._names, topic, partition).set(records)

    def lag_gone(self, topic: str, partition: int) -> None:
        """Another process reads the partition now."""
        _LAG.remove(*self._names, topic, partition)
