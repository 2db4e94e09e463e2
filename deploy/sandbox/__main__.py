"""Runs the sandbox: python -m deploy.sandbox [psp|carrier|all] --directory PATH [--psp-port 9100] ..."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Final

import uvloop

from .application import Application
from .carrier import carrier_gateway
from .journal import Journal, JournalUnusable
from .psp import psp_gateway

GATEWAYS: Final = {"psp": psp_gateway, "carrier": carrier_gateway}
DAY_SECONDS: Final = 86_400


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.sandbox", description="A PSP and a carrier that remember."
    )
    parser.add_argument("server", nargs="?", choices=(*GATEWAYS, "all"), default="all")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--psp-port", type=int, default=9100, help="0 takes a free one")
    parser.add_argument("--carrier-port", type=int, default=9200, help="0 takes a free one")
    parser.add_argument("--directory", type=Path, required=True, help="where the journals are kept")
    parser.add_argument("--psp-keys-remembered-seconds", type=int, help=f"{DAY_SECONDS} unless told")
    parser.add_argument("--carrier-keys-remembered-seconds", type=int, help=f"{DAY_SECONDS} unless told")
    parser.add_argument("--webhook-url", help="where the PSP sends its webhooks: http://host:port/path")
    parser.add_argument("--webhook-secret-file", type=Path, help="the secret that signs them")
    parser.add_argument(
        "--webhooks",
        choices=("all", "untold"),
        default="all",
        help="untold: only what no answer has told, such as a late success, a refund that fails, a dispute",
    )
    chosen = parser.parse_args()
    if (chosen.webhook_url is None) != (chosen.webhook_secret_file is None):
        parser.error("--webhook-url and --webhook-secret-file go together")
    return chosen


def opened(server: str, directory: Path, loop: asyncio.AbstractEventLoop) -> Application:
    """A server as its journal in `directory` remembers it."""
    journal = Journal(directory / f"{server}.journal", server, os.urandom(4).hex())
    return Application(GATEWAYS[server](journal.salt), journal, loop)


async def serve(chosen: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    chosen.directory.mkdir(parents=True, exist_ok=True)
    names = tuple(GATEWAYS) if chosen.server == "all" else (chosen.server,)
    applications: list[Application] = []
    sockets: list[asyncio.Server] = []
    try:
        for name in names:
            application = opened(name, chosen.directory, loop)
            applications.append(application)
            _configure(application, name, chosen)
            port = getattr(chosen, f"{name}_port")
            server = await loop.create_server(application.protocol, chosen.host, port, backlog=1024)
            sockets.append(server)
            bound = server.sockets[0].getsockname()[1]
            print(f"{name} listens on http://{chosen.host}:{bound}", flush=True)
        # What was restored stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 100)
        await stopped.wait()
    finally:
        for server in sockets:
            server.close()
        for application in applications:
            await application.webhooks.stop()
            application.close()


def _configure(application: Application, name: str, chosen: argparse.Namespace) -> None:
    seconds = getattr(chosen, f"{name}_keys_remembered_seconds")
    if seconds is not None:
        application.set_keys_remembered_seconds(seconds)
    if name == "psp":
        if chosen.webhook_url is not None:
            application.only_untold = chosen.webhooks == "untold"
            application.set_webhook(chosen.webhook_url, chosen.webhook_secret_file.read_bytes().strip())
        application.webhooks.start()


def main() -> int:
    chosen = arguments()
    try:
        uvloop.run(serve(chosen))
    except (JournalUnusable, OSError, ValueError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
