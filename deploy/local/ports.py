"""Which port each part of the stack listens on, and who is in the way when one is taken."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import psutil

from deploy.local.errors import LocalStackError, PortBusy

HOST = "127.0.0.1"
SERVICES = ("renewal", "catalog", "payment", "provisioning", "usage")
DEFAULT_PORTS: Mapping[str, int] = {
    "postgres": 15432,
    "kafka": 19092,
    "kafka-controller": 19093,
    "psp": 19100,
    "carrier": 19200,
    "renewal": 18001,
    "catalog": 18002,
    "payment": 18003,
    "provisioning": 18004,
    "usage": 18005,
}
# The second process of a service listens ten ports above the first, the third twenty.
REPLICA_STEP = 10


def setting_of(name: str) -> str:
    """The environment variable that moves one port."""
    return f"RECARGA_{name.upper().replace('-', '_')}_PORT"


@dataclass(frozen=True, slots=True)
class Ports:
    """A port for every name of DEFAULT_PORTS, and for the further processes of a service."""

    numbers: Mapping[str, int]

    @classmethod
    def configured(cls, environment: Mapping[str, str] | None = None, offset: int | None = None) -> Ports:
        """The defaults, moved by RECARGA_PORT_OFFSET or `offset`, each overridden by its own variable.

        Raises LocalStackError for a value that is no port.
        """
        variables = os.environ if environment is None else environment
        moved = offset if offset is not None else _number("RECARGA_PORT_OFFSET", variables, 0)
        return cls(
            {
                name: _port(setting_of(name), _number(setting_of(name), variables, default + moved))
                for name, default in DEFAULT_PORTS.items()
            }
        )

    @classmethod
    def free(cls, replicas: int = 1) -> Ports:
        """Ports that nobody uses now, for tests."""
        names = [*DEFAULT_PORTS, *(f"{name}-{n}" for name in SERVICES for n in range(2, replicas + 1))]
        with ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in names]
            for listener in sockets:
                listener.bind((HOST, 0))
            return cls(
                {name: listener.getsockname()[1] for name, listener in zip(names, sockets, strict=True)}
            )

    def of(self, name: str, replica: int = 1) -> int:
        """The port of a part, or of the n-th process of a service (counted from 1)."""
        if replica == 1:
            return self.numbers[name]
        return self.numbers.get(f"{name}-{replica}", self.numbers[name] + REPLICA_STEP * (replica - 1))


def _number(variable: str, variables: Mapping[str, str], default: int) -> int:
    text = variables.get(variable)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise LocalStackError(f"{variable}={text!r} is not a number.") from None


def _port(variable: str, number: int) -> int:
    if not 1 <= number <= 65535:
        raise LocalStackError(f"{variable} would be {number}: a port lies between 1 and 65535.")
    return number


def is_free(port: int) -> bool:
    """Whether we could listen there. SO_REUSEADDR: connections of the run before may linger in TIME_WAIT."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise LocalStackError(
                    f"Port {port} needs more rights than we have: choose one above 1023."
                ) from None
            return False
    return True


def require_free(wanted: Iterable[tuple[str, int]]) -> None:
    """Raises PortBusy, naming every taken port, who uses it and the setting that moves it."""
    busy = [(name, port) for name, port in wanted if not is_free(port)]
    if busy:
        raise PortBusy("\n".join(_busy_line(name, port) for name, port in busy))


def _busy_line(name: str, port: int) -> str:
    service = name.rsplit("-", 1)[0] if name.rsplit("-", 1)[-1].isdigit() else name
    return (
        f"Port {port} ({name}) is in use by {listener_on(port)}: stop that, "
        f"or set {setting_of(service)}, or move all ports with RECARGA_PORT_OFFSET=1000."
    )


def listener_on(port: int) -> str:
    """Name and pid of the process that listens on the port, as far as we may know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return "another process"
