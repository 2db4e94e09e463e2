"""The command line of an import, the same for every kind: a kind's module calls `main(KIND)`, no more."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Final

import typer
import uvloop

from shared.calls.http_client import open_client
from shared.imports.importing import Ending, Import
from shared.imports.kinds import Kind
from shared.imports.lines import Source, Unreadable
from shared.imports.progress import Progress
from shared.imports.reading import Reader
from shared.imports.report import Report
from shared.imports.resuming import Changed, Standing, read_standing, standing_file
from shared.imports.rows import BadHeader
from shared.imports.sending import REQUEST_SECONDS, NotTaken, Sender

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
        check: Annotated[bool, typer.Option("--check", help="Only judge the lines; send nothing.")] = False,
        anew: Annotated[
            bool, typer.Option("--anew", help="From the first line, even where an import was broken off.")
        ] = False,
    ) -> None:
        report_path = report or file.with_name(file.name + ".report.csv")
        progress = Progress(kind.name)
        try:
            status = uvloop.run(_import(kind, file, url, report_path, progress, check=check, anew=anew))
        except (BadHeader, Changed, ValueError) as error:
            hint = " Start from the first line with --anew." if isinstance(error, Changed) else ""
            progress.fail(f"{error}{hint}")
            status = NOT_BEGUN
        except (NotTaken, Unreadable, OSError) as error:
            progress.fail(f"{error} The same command goes on from there.")
            status = BROKEN_OFF
        raise typer.Exit(status)

    return app


async def _import(
    kind: Kind, file: Path, url: str, report_path: Path, progress: Progress, *, check: bool, anew: bool
) -> int:
    """Run it; the exit status."""
    begun = Standing(kind.name, url)
    keep_at = None if check else standing_file(report_path)
    with Source(file) as source:
        reader = Reader(kind, source.lines())
        standing = begun if keep_at is None or anew else read_standing(keep_at, begun)
        if standing.last_line > 1 and not _is_as_long(report_path, standing.report_bytes):
            raise Changed(f"The report {report_path} is not what it was.")
        client = (
            None if check else open_client(url, timeout_seconds=REQUEST_SECONDS, connections=kind.in_flight)
        )
        report = Report(report_path, standing.report_bytes if standing.last_line > 1 else 0)
        try:
            sender = None if client is None else Sender(kind, client)
            work = Import(reader, source, sender, report, standing, keep_at, progress.show)
            with progress:
                ending = await _until_stopped(work)
        finally:
            report.close()
            if client is not None:
                await client.close()
    if keep_at is not None and ending == "done":
        keep_at.unlink(missing_ok=True)
    progress.sum_up(standing, report_path, ending, is_check=check)
    if ending == "stopped":
        return STOPPED
    return SOME_REFUSED if standing.refused else 0


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
        return "stopped"
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
