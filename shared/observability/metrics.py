"""What every metric here has in common: buckets, cached label children, process metrics.

Names begin with `recarga_`, end in a base unit, and no label ever holds an id.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# A `_created` series beside each metric doubles what is scraped, and no panel or alert reads it.
disable_created_metrics()  # type: ignore[no-untyped-call]

LATENCY_BUCKETS_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)
"""From a statement in the database to the patience of a person."""

SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
"""For the number of things in a batch."""

MOST_CHILDREN = 1024
"""Label combinations of one metric that are kept at hand."""

Labelled = TypeVar("Labelled", Counter, Gauge, Histogram)


def children(metric: Labelled) -> Callable[..., Labelled]:
    """`metric.labels`, remembering its answers: a third of the cost on a hot path.

    Call it with the label values in the order in which the metric declares them.
    """
    return lru_cache(maxsize=MOST_CHILDREN)(metric.labels)
