"""Functions over queries.sql: payment methods. Tokens go in and never come out here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries

SQL = load_queries(__file__)


@dataclass(slots=True, frozen=True)
class Given:
    """A method as its payer's side gave it."""

    payment_method_id: str
    payer_id: str
    kind: str
    gateway: str
    token: str | None = field(repr=False)
    network: str | None = None


@dataclass(slots=True, frozen=True)
class Kept:
    """A method as it is known, without its token."""

    payment_method_id: str
    payer_id: str
    kind: str
    status: str
    gateway: str
    network: str | None
    version: int


async def put_methods(connection: Connection, given: Sequence[Given]) -> list[Kept]:
    """Write them, each id once; returns those that are new or changed."""
    rows = [
        (method.payment_method_id, method.payer_id, method.kind, method.gateway, method.token, method.network)
        for method in given
    ]
    return [Kept(*row) for row in await connection.fetch(SQL["put_methods"], *columns(rows, 6))]


async def remove_method(connection: Connection, payment_method_id: str) -> Kept | None:
    """Returns the method if this removed it."""
    row = await connection.fetchrow(SQL["remove_method"], payment_method_id)
    return None if row is None else Kept(*row)


async def forget_declines(connection: Connection, gateway: str, token: str) -> int:
    """The card behind a PSP's token has other details; returns how many methods had been declined."""
    return len(await connection.fetch(SQL["forget_declines"], gateway, token))


async def read_methods(connection: Connection, payment_method_ids: Iterable[str]) -> dict[str, Kept]:
    """The methods that are known, by id."""
    rows = await connection.fetch(SQL["read_methods"], list(payment_method_ids))
    return {row[0]: Kept(*row) for row in rows}


async def list_methods(connection: Connection, after: str, limit: int) -> list[Kept]:
    """At most `limit` methods with ids above `after`, in order; `after` empty: from the first."""
    return [Kept(*row) for row in await connection.fetch(SQL["list_methods"], after, limit)]
