"""What carriers say of ICCIDs that belong to nobody yet: kept, bounded, and heard once they do."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from services.usage.domain.reconcile import AHEAD
from shared.contracts.usage_records import BalanceReported, ThresholdCrossed
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries
from shared.messaging.transaction import Transaction
from shared.observability.logging import get_logger

SQL = load_queries(__file__, "kept_reports.sql")
AT_ONCE: Final = 500
"""How many are heard in one transaction."""
_BALANCE: Final = "balance"
Said = BalanceReported | ThresholdCrossed
Early = Literal["unknown_iccid", "dropped", "in_future"]
"""`unknown_iccid`: kept, unless a newer one is; `dropped`: too many are, so it must come again."""
_log = get_logger(__name__)


async def keep(transaction: Transaction, said: Sequence[Said], limit: int) -> Mapping[UUID, Early]:
    """Keep what is said of unknown ICCIDs, while fewer than `limit` are; what becomes of it, by event id.

    The newest of each kind is kept: an older one would be told to be stale, or late, as soon as it is heard.
    """
    connection, now = transaction.connection, transaction.now
    early: dict[UUID, Early] = {}
    newest: dict[tuple[str, str], Said] = {}
    has_room = await connection.fetchval(SQL["count_kept_reports"], limit) < limit
    for each in said:
        if _said_at(each) > now + AHEAD:
            # It would be refused in time, and keep what is true from being kept until then.
            early[each.event_id] = "in_future"
            continue
        early[each.event_id] = "unknown_iccid" if has_room else "dropped"
        place = each.iccid, _kind(each)
        if place not in newest or _said_at(each) > _said_at(newest[place]):
            newest[place] = each
    if not has_room:
        _log.error("carrier_reports_dropped", count=len(newest), limit=limit)
    elif newest:
        rows = [_row(newest[place]) for place in sorted(newest)]
        await connection.execute(SQL["keep_reports"], *columns(rows, 7))
    return early


async def take(connection: Connection, iccids: Collection[str]) -> list[Said]:
    """At most AT_ONCE that were kept of these ICCIDs, where they are known by now; they are kept no more."""
    rows = await connection.fetch(SQL["take_kept_reports"], list(iccids), AT_ONCE)
    return [_said_in(*row) for row in rows]


def _said_at(said: Said) -> datetime:
    return said.reported_at if isinstance(said, BalanceReported) else said.crossed_at


def _kind(said: Said) -> str:
    return _BALANCE if isinstance(said, BalanceReported) else said.kind


def _row(said: Said) -> tuple[Any, ...]:
    if isinstance(said, BalanceReported):
        named, expires_at = said.report_id, said.expires_at
    else:
        named, expires_at = said.notification_id, None
    return said.iccid, _kind(said), said.source, named, said.remaining_bytes, expires_at, _said_at(said)


def _said_in(
    iccid: str,
    kind: Any,
    source: str,
    named: str,
    remaining_bytes: Any,
    expires_at: datetime | None,
    said_at: datetime,
) -> Said:
    if kind == _BALANCE:
        return BalanceReported(
            source=source,
            report_id=named,
            iccid=iccid,
            remaining_bytes=remaining_bytes,
            expires_at=expires_at,
            reported_at=said_at,
        )
    return ThresholdCrossed(
        source=source,
        notification_id=named,
        iccid=iccid,
        kind=kind,
        remaining_bytes=remaining_bytes,
        crossed_at=said_at,
    )
