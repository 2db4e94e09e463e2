"""What every call worker exports; of gateways only the names are labels, and settings bound those."""

from prometheus_client import Counter, Gauge, Histogram

from shared.calls.breaker import Sign
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
_BREAKER_STATE = Gauge(
    "recarga_gateway_breaker_state",
    "0 closed, 1 recovering, 2 probing, 3 open, as this process sees the gateway",
    ["worker", "gateway"],
)
_WAITING = Gauge("recarga_gateway_waiting_calls", "Calls that wait in this process", ["worker", "gateway"])
_QUEUED = Gauge(
    "recarga_gateway_queued_calls",
    "Calls that wait in the database, in no process: the same number from every process",
    ["worker", "gateway"],
)
_LIMITED = Counter(
    "recarga_gateway_limited_total",
    "Times that calls had to wait for the gateway's rate",
    ["worker", "gateway"],
)
_PUT_OFF = Counter(
    "recarga_gateway_put_off_total",
    "Calls not made now, whose rows went back to the database, by what was in the way",
    ["worker", "gateway", "reason"],
)
_PROBES = Counter(
    "recarga_gateway_probes_total",
    "Single calls to a broken gateway, by result",
    ["worker", "gateway", "result"],
)


class LaneMetrics:
    """The children of one gateway in one worker, there from the beginning."""

    def __init__(self, worker: str, gateway: str) -> None:
        self.state = _BREAKER_STATE.labels(worker, gateway)
        self.waiting = _WAITING.labels(worker, gateway)
        self.queued = _QUEUED.labels(worker, gateway)
        self.limited = _LIMITED.labels(worker, gateway)
        self._put_off = {reason: _PUT_OFF.labels(worker, gateway, reason) for reason in ("breaker", "full")}
        self._probes = {
            sign: _PROBES.labels(worker, gateway, sign.name.lower()) for sign in (Sign.ANSWERED, Sign.FAILED)
        }

    def probed(self, sign: Sign) -> None:
        """A probe has ended; one that asked nothing was none."""
        if sign in self._probes:
            self._probes[sign].inc()

    def put_off(self, *, by_breaker: bool) -> None:
        self._put_off["breaker" if by_breaker else "full"].inc()
