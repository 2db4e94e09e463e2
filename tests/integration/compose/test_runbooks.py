"""What a runbook tells somebody to type at night runs: every statement, against the real tables."""

import re
from itertools import product
from pathlib import Path

import asyncpg
import pytest

from services import NAMES
from tests.integration.compose.conftest import Prepared

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
_STATEMENT = re.compile(r'psql -U postgres recarga -c "([^"]*)"')


def statements() -> list[tuple[str, str]]:
    return [
        (path.stem, found[1])
        for path in sorted(RUNBOOKS.glob("*.md"))
        for found in _STATEMENT.finditer(path.read_text())
    ]


async def test_every_statement_of_the_runbooks_runs(prepared: Prepared) -> None:
    connection = await asyncpg.connect(prepared.superuser_url, timeout=10)
    try:
        for service, (runbook, statement) in product(NAMES, statements()):
            try:
                await connection.execute(statement.replace("SERVICE", service))
            except asyncpg.PostgresError as error:
                pytest.fail(f"{runbook}: {error}\n{statement}")
    finally:
        await connection.close()


def test_the_runbooks_have_statements() -> None:
    assert len(statements()) > 5
