"""What the suites share: which function stands in for which, and what is the same in every archive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

from shared.archive import Archive
from shared.messaging.transaction import Transaction
from tests.conformance.stage import Stage


def functions_of(*modules: ModuleType) -> dict[Any, Any]:
    """The functions in memory of the first modules, by those of the others that they stand in for."""
    found = {}
    for stand_in in modules:
        for module, functions in getattr(stand_in, "FUNCTIONS", {}).items():
            if module in modules:
                for name, function in functions.items():
                    real = getattr(module, name)
                    assert real.__module__ == module.__name__, f"{name} has been replaced in this process"
                    found[real] = function
    return found


def untied(limit: int, dues: Sequence[datetime]) -> int:
    """So many, unless there are equal ones: which of them come first is luck, so then all are asked for."""
    return limit if len(set(dues)) == len(dues) else 100


async def archived_by(removal: Archive, stage: Stage) -> None:
    """Walk all of the open table in PostgreSQL, an hour after the last thing that happened."""
    watcher = stage.server.watcher
    await watcher.execute("update archive_walk set page = 0, begun_at = null")
    async with watcher.transaction():
        transaction = Transaction(watcher, stage.now + timedelta(days=400))
        assert not await removal.step(transaction), "one stretch holds all rows of an example"
    transaction.committed()
