"""PostgreSQL: the pool, named queries, arrays for set-based statements, migrations."""

from shared.database.pool import Connection, Pool, open_pool

__all__ = ["Connection", "Pool", "open_pool"]
