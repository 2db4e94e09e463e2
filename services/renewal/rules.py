"""Keeps rules: one standing instruction per subscription, set as a whole."""

from collections.abc import Sequence

from services.renewal.domain.admission import (
    SUBSCRIPTION_UNKNOWN,
    Refusal,
    offering_refusal,
    payment_refusal,
)
from services.renewal.domain.rule import RenewalRule
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries
from shared.messaging.transaction import Transaction

_SQL = load_queries(__file__, "rules.sql")


async def read(connection: Connection, subscription_id: str) -> RenewalRule | None:
    row = await connection.fetchrow(_SQL["read_rule"], subscription_id)
    return None if row is None else RenewalRule._make(row)


async def set_rules(
    transaction: Transaction, rules: Sequence[RenewalRule], set_by: str
) -> list[Refusal | None]:
    """Store those that can work; per rule why not, or None. Of two for one subscription the later counts."""
    refusals = await _refusals(transaction.connection, rules)
    accepted = {
        rule.subscription_id: rule for rule, refusal in zip(rules, refusals, strict=True) if refusal is None
    }
    rows = [
        (
            rule.subscription_id,
            ",".join(rule.triggers),
            rule.offering_id,
            ",".join(rule.payment_method_ids),
            rule.cap_amount_minor,
            rule.currency,
            rule.enabled,
        )
        for _, rule in sorted(accepted.items())
    ]
    if rows:
        await transaction.connection.execute(_SQL["set_rules"], *columns(rows, 7), set_by, transaction.now)
    return refusals


async def _refusals(connection: Connection, rules: Sequence[RenewalRule]) -> list[Refusal | None]:
    named = [(r.subscription_id, r.offering_id, ",".join(r.payment_method_ids)) for r in rules]
    rows = await connection.fetch(_SQL["read_what_rules_name"], *columns(named, 3))
    return [
        SUBSCRIPTION_UNKNOWN
        if row["owner_id"] is None
        else offering_refusal(row["offering_status"])
        or payment_refusal(rule.payment_method_ids, row["owner_id"], row["methods"])
        for rule, row in zip(rules, rows, strict=True)
    ]
