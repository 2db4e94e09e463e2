"""The asyncpg pool: bounded, with deadlines that the server itself keeps."""

from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from shared.database.array_elements import ask_concrete_types

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool

_SERVER_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
    "jit": "off",
    # Every statement finds its rows by key. A plan that was cached while a table was nearly empty would read
    # all of it once it has grown, until statistics are renewed: so plans that read all are never preferred.
    "enable_seqscan": "off",
}

ask_concrete_types()


async def open_pool(url: str, *, application_name: str, connections: int) -> Pool:
    """A pool of exactly `connections` at most, opened one at least.

    Statements are prepared and cached per connection, so the URL must not lead through a pooler in
    transaction mode.

    Raises:
        OSError, asyncpg.PostgresError: the server does not answer or refuses the role.
    """
    return await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=connections,
        timeout=10,
        command_timeout=40,
        max_inactive_connection_lifetime=300,
        # No session state outlives a transaction here, so the round trip that clears it is saved.
        reset=_keep,
        server_settings={**_SERVER_SETTINGS, "application_name": application_name},
    )


async def _keep(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Leave the session as it is."""
