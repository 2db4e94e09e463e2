"""What carriers say of balances: pushed or polled, it is compared with ours, and theirs wins."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.usage import kept_reports, metrics, store
from services.usage.counting import Carriers, say
from services.usage.domain import crossings
from services.usage.domain.balance import Balance, Granted
from services.usage.domain.carrier import Carrier
from services.usage.domain.crossings import CrossingResult
from services.usage.domain.reconcile import (
    Around,
    Bounds,
    Compared,
    Reported,
    Verdict,
    reconcile,
    refusal,
)
from services.usage.domain.triggers import Trigger, next_due_at, take_announced, take_due, was_said
from services.usage.kept_reports import Said
from shared.contracts.usage_records import BalanceReported, ThresholdCrossed
from shared.database import Connection
from shared.database.arrays import columns
from shared.database.queries import load_queries
from shared.messaging.transaction import Transaction

SQL = load_queries(__file__, "reports.sql")
CarrierOf = Callable[[Balance], Carrier]


class Report(NamedTuple):
    """What is left of a locked balance, by its carrier."""

    balance: Balance
    source: str
    reported: Reported


class Reports:
    """Takes over what carriers say, in a constant number of statements for any number of reports."""

    def __init__(self, carriers: Carriers, bounds: Bounds, most_kept: int) -> None:
        """`most_kept` of unknown ICCIDs are kept at once, give or take a batch of each process."""
        self._carriers = carriers
        self._bounds = bounds
        self._most_kept = most_kept

    async def hear(
        self,
        transaction: Transaction,
        reports: Sequence[BalanceReported],
        crossed: Sequence[ThresholdCrossed] = (),
    ) -> list[Verdict]:
        """Messages about any ICCIDs; what becomes of each report, in their order."""
        iccids = {each.iccid for each in reports} | {each.iccid for each in crossed}
        owners = await store.lock_balances_by_iccid(transaction.connection, iccids)
        if reports:
            await store.insert_balance_reports(transaction.connection, reports)
        unknown: list[Said] = [each for each in reports if each.iccid not in owners]
        unknown += [each for each in crossed if each.iccid not in owners]
        early = await kept_reports.keep(transaction, unknown, self._most_kept) if unknown else {}
        carrier_of = await self._carriers.read(transaction)
        heard = [each for each in crossed if each.iccid in owners]
        counting, results = _sort(owners, heard, carrier_of, transaction.now)
        results += [early[each.event_id] for each in unknown if isinstance(each, ThresholdCrossed)]
        known = [_report(owners[each.iccid], each) for each in reports if each.iccid in owners]
        told = [
            Report(balance, each.source, left)
            for balance, each in counting
            if (left := crossings.reported(each)) is not None
        ]
        compared, verdicts = await self._compare(transaction, [*known, *told], carrier_of)
        said = []
        for balance, each in counting:
            new = _announced(balance, each, carrier_of(balance), transaction.now)
            was = was_said(balance, crossings.KINDS[each.kind])
            results.append("said" if new else "repeated" if was else "early")
            said += new
        also = [balance for balance, _ in counting]
        await self._write(transaction, compared, also, said, carrier_of)
        in_turn = iter(verdicts)
        answers: list[Verdict] = [
            next(in_turn) if each.iccid in owners else early[each.event_id] for each in reports
        ]
        transaction.after_commit(lambda: _measure(answers, results))
        return answers

    async def take_up(self, transaction: Transaction, iccids: Collection[str]) -> int:
        """Hear what was kept of those of these ICCIDs that are known by now; how many there were."""
        said = await kept_reports.take(transaction.connection, iccids)
        if said:
            reports = [each for each in said if isinstance(each, BalanceReported)]
            crossed = [each for each in said if isinstance(each, ThresholdCrossed)]
            await self.hear(transaction, reports, crossed)
        return len(said)

    async def take_over(self, transaction: Transaction, reports: Sequence[Report]) -> None:
        """Reports that were asked for, of balances that are locked."""
        carrier_of = await self._carriers.read(transaction)
        compared, verdicts = await self._compare(transaction, reports, carrier_of)
        await self._write(transaction, compared, (), [], carrier_of)
        transaction.after_commit(lambda: _measure(verdicts, ()))

    async def _compare(
        self, transaction: Transaction, reports: Sequence[Report], carrier_of: CarrierOf
    ) -> tuple[list[tuple[Report, Compared]], list[Verdict]]:
        """Bring each balance to its newest report; what becomes of each of them, in their order."""
        if not reports:
            return [], []
        connection, now = transaction.connection, transaction.now
        granted = await _granted(connection, reports)
        last = await _last_reports(connection, reports)
        newest = dict(last)
        verdicts: list[Verdict] = ["stale"] * len(reports)
        chosen: dict[str, int] = {}
        for place, (balance, _, reported) in enumerate(reports):
            who, at = balance.subscription_id, reported.reported_at
            why = refusal(at, newest.get(who), granted[who].values(), self._bounds, now)
            if why is None:
                newest[who], chosen[who] = at, place
            else:
                verdicts[place] = why
        chosen_ones = [reports[place] for place in chosen.values()]
        around = await _around(connection, chosen_ones, last, granted, carrier_of)
        compared = []
        for who, place in chosen.items():
            carrier = carrier_of(reports[place].balance)
            tolerance = carrier.tolerance_bytes if carrier.counting == "records" else 0
            result = reconcile(reports[place].balance, reports[place].reported, around[who], tolerance)
            verdicts[place] = "taken_over" if result.is_taken_over else "within_tolerance"
            compared.append((reports[place], result))
        return compared, verdicts

    async def _write(
        self,
        transaction: Transaction,
        compared: Sequence[tuple[Report, Compared]],
        also: Collection[Balance],
        said: list[Trigger],
        carrier_of: CarrierOf,
    ) -> None:
        now = transaction.now
        balances = {b.subscription_id: b for b in (*(report.balance for report, _ in compared), *also)}
        if not balances:
            return
        for balance in balances.values():
            wants = carrier_of(balance).wants
            said += take_due(balance, now, wants)
            balance.next_due_at = next_due_at(balance, now, wants)
        await store.update_cycles(transaction.connection, balances.values(), now)
        if compared:
            await _upsert_drifts(transaction.connection, compared, now)
        await say(transaction, said, {})
        drifts = [(report.balance.carrier or "unknown", result) for report, result in compared]
        transaction.after_commit(lambda: metrics.drifts(drifts))


def _report(balance: Balance, message: BalanceReported) -> Report:
    left = Reported(message.remaining_bytes, message.expires_at, message.reported_at)
    return Report(balance, message.source, left)


def _sort(
    owners: Mapping[str, Balance],
    crossed: Sequence[ThresholdCrossed],
    carrier_of: CarrierOf,
    now: datetime,
) -> tuple[list[tuple[Balance, ThresholdCrossed]], list[CrossingResult]]:
    """The crossings that count, and why others do not."""
    counting = []
    results: list[CrossingResult] = []
    for each in crossed:
        balance = owners[each.iccid]
        why = crossings.refusal(balance, each, carrier_of(balance), now)
        if why is None:
            counting.append((balance, each))
        else:
            results.append(why)
    return counting, results


def _announced(balance: Balance, crossed: ThresholdCrossed, carrier: Carrier, now: datetime) -> list[Trigger]:
    kind, left = crossings.KINDS[crossed.kind], crossings.remaining_bytes(crossed)
    return take_announced(balance, kind, left, now, carrier.wants, carrier.announced_by)


def _measure(verdicts: Collection[Verdict], results: Collection[CrossingResult]) -> None:
    for verdict in verdicts:
        metrics.report(verdict)
    for result in results:
        metrics.crossing(result)


# -- what is read under the lock -----------------------------------------------------------------------


async def _granted(connection: Connection, reports: Sequence[Report]) -> dict[str, dict[str, Granted]]:
    """Each open bucket of each subscription, as it was granted."""
    balances = {report.balance.subscription_id: report.balance for report in reports}
    named = [(who, bucket.bucket_id) for who, balance in balances.items() for bucket in balance.buckets]
    granted: dict[str, dict[str, Granted]] = defaultdict(dict)
    if named:
        for (who, bucket_id), each in (await store.find_buckets(connection, named)).items():
            granted[who][bucket_id] = each
    return granted


async def _last_reports(connection: Connection, reports: Sequence[Report]) -> dict[str, datetime]:
    rows = await connection.fetch(SQL["last_reports"], [report.balance.subscription_id for report in reports])
    return {row["subscription_id"]: row["reported_at"] for row in rows}


async def _around(
    connection: Connection,
    reports: Sequence[Report],
    last: Mapping[str, datetime],
    granted: Mapping[str, Mapping[str, Granted]],
    carrier_of: CarrierOf,
) -> dict[str, Around]:
    """What was taken after each report, and what was not since the one before."""
    rows = []
    counted_there = {
        report.balance.subscription_id
        for report in reports
        if carrier_of(report.balance).counting != "records"
    }
    for balance, _, reported in reports:
        who, at = balance.subscription_id, reported.reported_at
        rows.append((who, last.get(who) or balance.cycle_began_at or at, at))
    taken: dict[str, dict[str, int]] = defaultdict(dict)
    untaken: dict[str, int] = {}
    for who, bucket_id, size in await connection.fetch(SQL["taken_around"], *columns(rows, 3)):
        if bucket_id is None:
            untaken[who] = size
        else:
            taken[who][bucket_id] = size
    return {
        who: Around(
            granted.get(who, {}), taken[who], untaken.get(who, 0), since if who in counted_there else None
        )
        for who, since, _ in rows
    }


async def _upsert_drifts(
    connection: Connection, compared: Sequence[tuple[Report, Compared]], now: datetime
) -> None:
    rows = [
        (
            report.balance.subscription_id,
            report.source,
            report.reported.reported_at,
            result.theirs_bytes,
            result.ours_bytes,
            result.drift_bytes,
            result.corrected_bytes,
            result.unplaced_bytes,
        )
        for report, result in compared
    ]
    await connection.execute(SQL["upsert_drifts"], *columns(rows, 8), now)
