"""What operators' doings export. Label children are made once; ids and names are never labels."""

from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter

from services.renewal.operators.domain.bulk import Result
from shared.observability.metrics import children

_BULK = Counter(
    "recarga_renewal_bulk_total", "Renewals that bulk jobs came to, by what came of it", ["result"]
)
_bulk: Final = children(_BULK)


def count(results: Sequence[Result]) -> None:
    for result in results:
        _bulk(result).inc()
