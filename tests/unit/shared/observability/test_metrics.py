"""Metrics: children are looked up once, and the process says how it is."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from shared.observability.metrics import LATENCY_BUCKETS_SECONDS, children


def test_the_same_labels_give_the_same_child() -> None:
    registry = CollectorRegistry()
    counted = children(Counter("recarga_parcels", "Parcels.", ("outcome",), registry=registry))
    counted("ok").inc()
    counted("ok").inc()
    assert counted("ok") is counted("ok")
    assert registry.get_sample_value("recarga_parcels_total", {"outcome": "ok"}) == 2


def test_buckets_rise_from_a_millisecond_to_a_minute() -> None:
    assert list(LATENCY_BUCKETS_SECONDS) == sorted(set(LATENCY_BUCKETS_SECONDS))
    assert (LATENCY_BUCKETS_SECONDS[0], LATENCY_BUCKETS_SECONDS[-1]) == (0.001, 60.0)


def test_no_created_series_double_what_is_scraped() -> None:
    registry = CollectorRegistry()
    Histogram("recarga_wait_seconds", "Wait.", registry=registry).observe(1)
    assert b"_created" not in generate_latest(registry)


def test_the_process_itself_is_measured() -> None:
    assert b"process_resident_memory_bytes" in generate_latest()
