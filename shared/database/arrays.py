"""From rows to the arrays that `unnest` takes."""

from collections.abc import Iterable, Sequence
from typing import Any


def sparse(gathered: Sequence[list[Any]]) -> list[list[Any] | None]:
    """Columns that are empty throughout as no array at all: unnest pads them, and nothing is encoded or read.

    At least one column must have values in every row: it says how many rows there are.
    """
    return [column if any(value is not None for value in column) else None for column in gathered]


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """One list per column. All are equally long: PostgreSQL pads shorter arrays with NULL, silently.

    Raises:
        ValueError: a row does not have `width` values.
    """
    gathered = [list(column) for column in zip(*rows, strict=True)]
    if not gathered:
        return [[] for _ in range(width)]
    if len(gathered) != width:
        raise ValueError(f"rows have {len(gathered)} values, the statement takes {width}")
    return gathered
