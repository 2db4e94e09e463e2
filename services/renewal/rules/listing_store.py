"""Functions over listings.sql: every rule and every mandate there is, in the order of their keys."""

from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import RenewalRule
from services.renewal.rules.mandate_store import Name
from services.renewal.rules.store import rule_of
from shared.database import Connection
from shared.database.queries import load_queries

SQL = load_queries(__file__, "listings.sql")


async def list_rules(connection: Connection, after: str, limit: int) -> list[RenewalRule]:
    """At most `limit` rules of subscriptions above that one; `after` empty: from the first."""
    return [rule_of(row) for row in await connection.fetch(SQL["list_rules"], after, limit)]


async def list_mandates(connection: Connection, after: Name, limit: int) -> list[Mandate]:
    """At most `limit` mandates with names above that one; both parts empty: from the first."""
    rows = await connection.fetch(SQL["list_every_mandate"], *after, limit)
    return [Mandate._make(row) for row in rows]
