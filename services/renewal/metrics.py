"""What the renewal service exports. Label children are made once; ids are never labels."""

from datetime import datetime
from typing import Final, get_args

from prometheus_client import Counter, Gauge, Histogram

from services.renewal.domain.burst import BurstKind
from services.renewal.domain.renewal import CLOSED_STATES, OPEN_STATES
from shared.observability.metrics import LATENCY_BUCKETS_SECONDS, children

_OUTCOMES = Counter("recarga_renewal_closed_total", "Renewals closed, by outcome", ["outcome"])
_ADMITTED = Counter("recarga_renewal_admitted_total", "Renewals admitted, by who asked", ["origin"])
_REQUESTS = Counter(
    "recarga_renewal_requests_total", "Requests and triggers, by what they were answered", ["answer"]
)
_REFUSED = Counter("recarga_renewal_refused_total", "Requests and triggers not admitted", ["reason"])
_STEPS = Histogram(
    "recarga_renewal_step_seconds",
    "From the request until the step was heard of, happy or not",
    ["step"],
    buckets=LATENCY_BUCKETS_SECONDS,
)
_MESSAGES = Counter("recarga_renewal_messages_total", "What messages did to renewals", ["message", "result"])
_IN_FLIGHT = Gauge("recarga_renewal_in_flight", "Open renewals", ["state"])
UNAPPLIED: Final = Gauge(
    "recarga_renewal_captured_unapplied", "Renewals whose money is taken and whose data is not applied"
)
UNAPPLIED_OLDEST: Final = Gauge(
    "recarga_renewal_captured_unapplied_oldest_seconds", "Age of the oldest capture without data"
)
PARKED: Final = Gauge("recarga_renewal_parked", "Renewals that wait for an operator")
REVIEWS_OPEN: Final = Gauge("recarga_renewal_reviews_open", "Requests that a person decides about")
REVIEWS_OLDEST: Final = Gauge(
    "recarga_renewal_reviews_oldest_seconds", "Age of the oldest request that a person decides about"
)
REVIEWS_NEAR_LIMIT: Final = Gauge(
    "recarga_renewal_reviews_near_limit", "Of these those that have less than a quarter of their time left"
)
ORPHANS: Final = Counter("recarga_renewal_orphans_total", "Events about renewals that the saga does not know")
BROKEN_PROMISES: Final = Counter(
    "recarga_renewal_broken_promises_total", "Facts that an authority had promised never to say"
)
STALLED: Final = Gauge("recarga_renewal_timers_held", "1 while timers wait for a consumer to catch up")
FIRED: Final = Counter("recarga_renewal_timers_fired_total", "Timers fired", ["timer"])

_TRIPPED = Counter(
    "recarga_renewal_burst_breaker_trips_total", "Times that the burst breaker stopped charges", ["kind"]
)

message_result: Final = children(_MESSAGES)
refused: Final = children(_REFUSED)
requests: Final = children(_REQUESTS)
fired: Final = children(FIRED)
breaker_tripped: Final = children(_TRIPPED)
for _kind in get_args(BurstKind):
    breaker_tripped(_kind)  # exported from the start: a rate needs its zero
admitted: Final = {origin: _ADMITTED.labels(origin) for origin in ("customer", "rule")}
closed: Final = children(_OUTCOMES)
for _outcome in CLOSED_STATES:
    closed(_outcome)  # exported from the start: a rate needs its zero
in_flight: Final = {state: _IN_FLIGHT.labels(state) for state in OPEN_STATES}
_PRICED, _CAPTURED, _APPLIED = (_STEPS.labels(step) for step in ("priced", "captured", "applied"))
_STEP_OF: Final = {
    "RenewalPriced": _PRICED,
    "PaymentCaptured": _CAPTURED,
    "TopUpApplied": _APPLIED,
}


def observe_step(message: str, requested_at: datetime, heard_at: datetime) -> None:
    """How long after the request the step's good news was heard; other messages are no step."""
    histogram = _STEP_OF.get(message)
    if histogram is not None:
        histogram.observe((heard_at - requested_at).total_seconds())
