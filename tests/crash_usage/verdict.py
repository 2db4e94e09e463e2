"""The comparison, when all is quiet: buckets with the file, renewals with cycles, books with each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from deploy.local.books import compare, read_books, wait_until_quiet
from deploy.local.books.reading import Sources
from tests.acceptance.office import Office
from tests.crash_usage.recomputation import Expected

_BALANCES: Final = """
select subscription_id, used_bytes, owed_bytes, cycle, open_buckets
from usage.balances
where subscription_id = any($1::text[])
"""
_ALLOCATED: Final = """
select u.subscription_id, p.bucket_id, sum(p.size)::bigint as size
from usage.usage_records as u
cross join lateral (
    select split_part(part, '=', 1) as bucket_id, split_part(part, '=', 2)::bigint as size
    from regexp_split_to_table(nullif(u.allocation, ''), ' ') as part
    union all
    select '', u.overrun_bytes where u.overrun_bytes > 0
) as p
where u.subscription_id = any($1::text[])
group by u.subscription_id, p.bucket_id
"""
_PAID: Final = """
select subscription_id, bucket_id, -sum(size_bytes)::bigint as size
from usage.bucket_events
where kind = 'paid_overrun' and subscription_id = any($1::text[])
group by subscription_id, bucket_id
"""
_RECORDS: Final = "select count(*) from usage.usage_records where subscription_id = any($1::text[])"
_RENEWALS: Final = """
select subscription_id, cycle, coalesce(dunning_try, 1) as dunning_try, state, caller
from renewal.renewals
where subscription_id = any($1::text[])
"""
Taken = dict[tuple[str, str], int]


async def verdict(office: Office, ends: Mapping[str, Expected], records: int, seconds: float) -> list[str]:
    """What is not as it must be, a line each."""
    stack, ids = office.stack, list(ends)
    await wait_until_quiet(stack.superuser_url, seconds)
    comparison = compare(await read_books(Sources(stack.superuser_url, stack.psp_url, stack.carrier_url)))
    broken = [str(each) for each in comparison.discrepancies]
    counted = await office.database.fetchval(_RECORDS, ids)
    if counted != records:
        broken.append(f"{counted} records were kept, the file has {records}")
    balances = {row["subscription_id"]: row for row in await office.database.fetch(_BALANCES, ids)}
    allocated = await _by_bucket(office, _ALLOCATED, ids)
    paid = await _by_bucket(office, _PAID, ids)
    for subscription_id, end in ends.items():
        found = balances.get(subscription_id)
        if found is None:
            broken.append(f"{subscription_id} has no balance")
            continue
        broken += wrong_totals(subscription_id, end, found)
        broken += unexplained(subscription_id, end, allocated, paid)
    broken += wrong_renewals(ends, await office.database.fetch(_RENEWALS, ids))
    return broken


async def _by_bucket(office: Office, statement: str, ids: list[str]) -> Taken:
    rows = await office.database.fetch(statement, ids)
    return {(row["subscription_id"], row["bucket_id"]): row["size"] for row in rows}


def bucket_names(end: Expected) -> list[str]:
    return ["before", *(f"top-up-{cycle}" for cycle in range(1, end.bought + 1))]


def wrong_totals(subscription_id: str, end: Expected, found: Any) -> Iterator[str]:
    """Each bucket, and what was used in all, must be what the file says."""
    left = {bucket[0]: bucket[4] for bucket in json.loads(found["open_buckets"])}
    wanted = dict(zip(bucket_names(end), end.remaining_bytes, strict=True))
    told = (found["used_bytes"], found["owed_bytes"], found["cycle"])
    if told != (end.used_bytes, 0, end.bought):
        yield f"{subscription_id}: used, owed, cycle {told} instead of {(end.used_bytes, 0, end.bought)}"
    # A bucket that is not open any more is empty.
    if {name: left.get(name, 0) for name in {*wanted, *left}} != wanted:
        yield f"{subscription_id}: left {left} instead of {wanted}"


def unexplained(subscription_id: str, end: Expected, allocated: Taken, paid: Taken) -> Iterator[str]:
    """What records took, and what was paid of the overrun, must be what each bucket lost."""
    overrun = allocated.get((subscription_id, ""), 0)
    for name, granted, left in zip(bucket_names(end), end.granted_bytes, end.remaining_bytes, strict=True):
        told = allocated.get((subscription_id, name), 0) + paid.get((subscription_id, name), 0)
        overrun -= paid.get((subscription_id, name), 0)
        if told != granted - left:
            yield f"{subscription_id}: {told} bytes of {name} are explained, {granted - left} were taken"
    if overrun:
        yield f"{subscription_id}: {overrun} bytes of its overrun are in no bucket"


def wrong_renewals(ends: Mapping[str, Expected], rows: list[Any]) -> Iterator[str]:
    """One completed renewal for each bucket that was bought, one for each cycle and try, all by rule."""
    tries = Counter((row["subscription_id"], row["cycle"], row["dunning_try"]) for row in rows)
    for (subscription_id, cycle, number), count in tries.items():
        if count > 1:
            yield f"{subscription_id}: cycle {cycle} has {count} automatic renewals of try {number}"
    completed = Counter(row["subscription_id"] for row in rows if row["state"] == "completed")
    for subscription_id, end in ends.items():
        if completed[subscription_id] != end.bought:
            yield f"{subscription_id}: {completed[subscription_id]} renewals instead of {end.bought}"
    for row in rows:
        if row["caller"] != "rule":
            yield f"{row['subscription_id']}: a renewal of {row['caller']}, whom nobody asked"
