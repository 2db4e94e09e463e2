"""The HTTP server within a process that does other things too: it starts, it stops, it owns no signals."""

import asyncio
import errno
import math
import socket
from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

START_DEADLINE_SECONDS = 30.0
BACKLOG = 2048


class HttpServerError(Exception):
    """The server could not be started; the message says why and what to do."""


class _Server(uvicorn.Server):
    """Uvicorn without its hands on the process: no signal handlers, no exit, and a word when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # What uvicorn does when the lifespan fails; from a task it would end the process.
            raise HttpServerError("The application did not start: its lifespan failed, see the log") from None
        self.listening.set()


class HttpServer:
    """Serves one application on one address. Port 0 takes a free one; `port` then says which."""

    def __init__(self, app: ASGIApp, host: str, port: int, *, allow_non_loopback: bool = False) -> None:
        if not allow_non_loopback and not is_loopback(host):
            raise HttpServerError(
                f"Refused to listen on {host}: there is no sign-in yet, so only this machine may connect. "
                "Set RECARGA_HTTP_HOST=127.0.0.1, or RECARGA_HTTP_ALLOW_NON_LOOPBACK=true within a network "
                "of containers that nobody else can reach."
            )
        self.host = host
        self.port = port
        self._app = app
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns once connections are accepted; HttpServerError where that cannot be."""
        listener = self._bind()
        self.port = listener.getsockname()[1]
        server = _Server(
            uvicorn.Config(
                self._app,
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
            )
        )
        self._server = server
        self._serving = asyncio.create_task(
            server.serve(sockets=[listener]), name=f"http {self.host}:{self.port}"
        )
        await self._until_listening(server, self._serving)

    async def stop(self, grace_seconds: float) -> None:
        """Accepts nothing more, lets requests finish for up to `grace_seconds`, then breaks them off."""
        if self._server is None or self._serving is None:
            return
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_seconds)
        self._server.should_exit = True
        # Beyond the grace itself uvicorn needs a moment, and the lifespan's end may take one.
        _, unfinished = await asyncio.wait({self._serving}, timeout=grace_seconds + 5)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self._server = self._serving = None

    async def wait(self) -> None:
        """Returns when the server has ended, which it does on `stop` only; raises what ended it otherwise."""
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def _until_listening(self, server: _Server, serving: asyncio.Task[None]) -> None:
        listening = asyncio.create_task(server.listening.wait())
        try:
            await asyncio.wait(
                {listening, serving}, timeout=START_DEADLINE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            listening.cancel()
        if serving.done():
            await serving
        if not server.listening.is_set():
            serving.cancel()
            raise HttpServerError(
                f"The application did not start within {START_DEADLINE_SECONDS:g} s: see the log"
            )

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.host, self.port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            raise HttpServerError(_why(error, self.host, self.port)) from error
        return listener


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program: stop it or set another RECARGA_HTTP_PORT"
    if error.errno == errno.EACCES:
        return f"Port {port} may not be opened by this user: set RECARGA_HTTP_PORT to a port above 1023"
    return (
        f"Could not listen on {host}:{port}: {error}. Compare RECARGA_HTTP_HOST with the machine's addresses"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
