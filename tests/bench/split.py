"""Where a process's time goes, from what `py-spy record --format raw` wrote: one line per kind of work.

    py-spy record --rate 250 --format raw --output payment.raw --pid <process id of payment-1>
    python -m tests.bench.split payment.raw 261

The second argument is what the process spent per renewal in microseconds, from the table of `make bench`; a
sample belongs to the first kind of work of which a place is on its stack.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

KINDS: dict[str, tuple[str, ...]] = {
    "decode messages": ("shared/messaging/received.py",),
    "enclose events": ("shared/messaging/envelope.py",),
    "talk to PostgreSQL": ("asyncpg/",),
    "publish to Kafka": ("shared/messaging/producer.py", "aiokafka/producer/"),
    "fetch from Kafka": ("aiokafka/consumer/", "aiokafka/conn.py", "aiokafka/client.py", "records.py"),
    "send a request, read its answer": ("shared/calls/http_", "/gateways/"),
    "decide (domain)": ("/domain/",),
    "rows and columns": ("store.py", "shared/database/", "shared/messaging/outbox.py"),
    "measure and log": ("prometheus_client/", "metrics.py", "structlog/"),
    "handle batches, fold": ("handlers.py", "authority.py", "moves.py", "admissions.py", "decisions.py"),
    "make and record calls": ("shared/calls/", "calls.py"),
    "FastStream, consumer, transaction": ("faststream/", "shared/messaging/"),
}
OTHER = "event loop, the rest"


def kind_of(stack: str) -> str:
    """The kind of work of one sampled stack, frames separated by semicolons."""
    for kind, places in KINDS.items():
        if any(place in stack for place in places):
            return kind
    return OTHER


def split(lines: Iterable[str]) -> Counter[str]:
    """Samples by kind of work; each line is a stack, a space and how often it was seen."""
    seen: Counter[str] = Counter()
    for line in lines:
        stack, _, times = line.rstrip().rpartition(" ")
        seen[kind_of(stack)] += int(times)
    return seen


def main(
    recorded: Annotated[Path, typer.Argument(help="what py-spy wrote")],
    microseconds: Annotated[float, typer.Argument(help="CPU of the process per renewal")],
) -> None:
    """Print microseconds per renewal by kind of work."""
    with recorded.open() as lines:
        seen = split(lines)
    for kind, times in seen.most_common():
        print(f"{microseconds * times / seen.total():6.0f}  {kind}")


if __name__ == "__main__":
    typer.run(main)
