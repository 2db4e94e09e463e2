"""What operators' doings export. Label children are made once; ids and names are never labels."""

from collections.abc import Sequence
from typing import Final, get_args

from prometheus_client import Counter, Gauge

from services.renewal.domain.burst import BurstKind
from services.renewal.domain.charge_stop import StopKind
from services.renewal.operators.domain.bulk import Result
from shared.observability.metrics import children

_BULK = Counter(
    "recarga_renewal_bulk_total", "Renewals that bulk jobs have come to, by what came of it", ["result"]
)
_STOPPED = Gauge(
    "recarga_renewal_charges_stopped", "Stops of automatic charges in force, by what they concern", ["kind"]
)
_TRIPPED = Gauge(
    "recarga_renewal_burst_breaker_open", "Stops of the burst breaker that nobody has resumed", ["kind"]
)
_KEPT = Gauge("recarga_renewal_kept_triggers", "Triggers of rules that wait, by what for", ["held_by"])

_bulk: Final = children(_BULK)
charges_stopped: Final = {kind: _STOPPED.labels(kind) for kind in get_args(StopKind)}
breaker_open: Final = {kind: _TRIPPED.labels(kind) for kind in get_args(BurstKind)}
kept_by: Final = {what: _KEPT.labels(what) for what in ("stop", "slot", "time", "payer", "pause")}


def count(results: Sequence[Result]) -> None:
    for result in results:
        _bulk(result).inc()
