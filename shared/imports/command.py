"""The command line of an import, the same for every kind: a kind's module calls `main(KIND)`, no more."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop

from shared.calls.http_client import HttpClient, open_client
from shared.imports.importing import Ending, Import
from shared.imports.kinds import Kind
from shared.imports.lines import Source, Unreadable
from shared.imports.progress import Progress
from shared.imports.reading import Reader
from shared.imports.report import Report
from shared.imports.resuming import Changed, Standing, read_standing, standing_file
from shared.imports.rows import BadHeader
from shared.imports.sending import PATIENCE_SECONDS, REQUEST_SECONDS, NotTaken, Sender

BROKEN_OFF: Final = 1
NOT_BEGUN: Final = 2
SOME_REFUSED: Final = 3
STOPPED: Final = 130

EPILOG: Final = (
    "Exit status: 0 everything was taken, 3 all was done but some lines were refused (the report says why), "
    "1 broken off and 130 stopped (the same command goes on from there), 2 nothing was begun."
)


def main(kind: Kind) -> None:
    """Run the command with the arguments of this process."""
    command_of(kind)()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    kind: Kind
    file: Path
    url: str
    report: Path
    patience_seconds: float
    check: bool
    anew: bool

    def client(self) -> HttpClient:
        return open_client(self.url, timeout_seconds=REQUEST_SECONDS, connections=self.kind.in_flight)


def command_of(kind: Kind) -> typer.Typer:
    """The command that imports one kind."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    variable = f"RECARGA_{kind.service.upper()}_URL"

    @app.command(help=f"Import {kind.name} from a CSV file; docs/imports.md has its columns.", epilog=EPILOG)
    def command(
        file: Annotated[Path, typer.Argument(help="UTF-8, the first line names the columns; may be gzip.")],
        url: Annotated[str, typer.Option(envvar=variable, help=f"Of the {kind.service} service.")] = kind.url,
        report: Annotated[
            Path | None, typer.Option(help="Every fault, as CSV. Left out: beside the file.")
        ] = None,
        patience: Annotated[
            float,
            typer.Option(min=0, help="Seconds for which one request is tried again where that may help."),
        ] = PATIENCE_SECONDS,
        check: Annotated[bool, typer.Option("--check", help="Only judge the lines; send nothing.")] = False,
        anew: Annotated[
            bool, typer.Option("--anew", help="From the first line, even where an import was broken off.")
        ] = False,
    ) -> None:
        report_path = report or file.with_name(file.name + ".report.csv")
        progress = Progress(kind.name)
        try:
            wanted = Wanted(kind, file, url, report_path, patience, check, anew)
            status = uvloop.run(import_file(wanted, progress))
        except (BadHeader, Changed, ValueError) as error:
            hint = " Start from the first line with --anew." if isinstance(error, Changed) else ""
            progress.fail(f"{error}{hint}")
            status = NOT_BEGUN
        except (NotTaken, Unreadable, OSError) as error:
            progress.fail(f"{error} The same command goes on from there.")
            status = BROKEN_OFF
        raise typer.Exit(status)

    return app


async def import_file(wanted: Wanted, progress: Progress) -> int:
    """Do what is wanted; the exit status."""
    keep_at = None if wanted.check else standing_file(wanted.report)
    with Source(wanted.file) as source:
        reader = Reader(wanted.kind, source.lines())
        standing = _standing(wanted, keep_at)
        report = Report(wanted.report, standing.report_bytes)
        client = None if wanted.check else wanted.client()
        sender = None if client is None else Sender(wanted.kind, client, wanted.patience_seconds)
        try:
            with progress:
                ending = await _until_stopped(
                    Import(reader, source, sender, report, standing, keep_at, progress.show)
                )
        finally:
            report.close()
            if client is not None:
                await client.close()
    if keep_at is not None and ending == "done":
        keep_at.unlink(missing_ok=True)
    progress.sum_up(standing, wanted.report, ending, is_check=wanted.check)
    if ending == "stopped":
        return STOPPED
    return SOME_REFUSED if standing.refused else 0


def _standing(wanted: Wanted, keep_at: Path | None) -> Standing:
    """Where it begins: at the first line, or where it was broken off.

    Raises:
        Changed: something was begun that cannot be gone on with.
    """
    begun = Standing(wanted.kind.name, wanted.url)
    if keep_at is None or wanted.anew:
        return begun
    standing = read_standing(keep_at, begun)
    if standing.report_bytes and not _is_as_long(wanted.report, standing.report_bytes):
        raise Changed(f"The report {wanted.report} is not what it was.")
    return standing


def _is_as_long(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size >= size
    except OSError:
        return False


async def _until_stopped(work: Import) -> Ending:
    """The first SIGINT or SIGTERM lets what is under way come to its end, the second does not wait for it."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(work.run(stopping))

    def stop() -> None:
        if stopping.is_set():
            running.cancel()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        return await running
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        return "stopped"
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
