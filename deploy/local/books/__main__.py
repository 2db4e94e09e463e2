"""Compares the books of a running stack: python -m deploy.local.books. Exit code 1 where they differ."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.books.comparison import Comparison, compare
from deploy.local.books.quiet import wait_until_quiet
from deploy.local.books.reading import Sources, read_books
from deploy.local.books.tables import show
from deploy.local.console import show_error
from deploy.local.database_roles import DATABASE, url_as, url_to
from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from deploy.local.ports import HOST, Ports
from deploy.local.postgres import SUPERUSER


def sources_of(home: Home, ports: Ports) -> Sources:
    """Where the books of the stack in a home lie. Raises LocalStackError where it has no database yet."""
    named = os.environ.get("DATABASE_URL")
    secret = home.secrets / "postgres"
    if not named and not secret.exists():
        raise LocalStackError(f"There is no database in {home.path}: start the stack with `make up`.")
    own = f"postgresql://{HOST}:{ports.of('postgres')}/{DATABASE}"
    database_url = url_to(named, DATABASE) if named else url_as(own, SUPERUSER, secret.read_text().strip())
    return Sources(database_url, f"http://{HOST}:{ports.of('psp')}", f"http://{HOST}:{ports.of('carrier')}")


def main(
    home: Annotated[Path | None, typer.Option(help="The stack's folder (RECARGA_HOME, or .recarga).")] = None,
    port_offset: Annotated[int | None, typer.Option(help="As for `make up`.")] = None,
    wait_seconds: Annotated[float, typer.Option(min=0, help="How long to wait until all is quiet.")] = 30.0,
) -> None:
    """Compares renewal, payment, ledger and provisioning with the journals of PSP and carrier, row by row."""
    try:
        sources = sources_of(Home.at(home), Ports.configured(offset=port_offset))
        comparison = asyncio.run(_compare(sources, wait_seconds))
    except (LocalStackError, OSError) as error:
        show_error(error)
        raise typer.Exit(2) from None
    show(comparison)
    raise typer.Exit(0 if comparison.is_balanced else 1)


async def _compare(sources: Sources, wait_seconds: float) -> Comparison:
    await wait_until_quiet(sources.database_url, wait_seconds)
    return compare(await read_books(sources))


if __name__ == "__main__":
    typer.run(main)
