"""What became of a renewal, step by step, in all three books: for those with which something is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Final

from shared.database import Pool

MOST_TRACED: Final = 5
_OPEN: Final = (
    "select renewal_id::text from renewal.renewals where closed_at is null and state <> 'parked'"
    " order by requested_at limit $1"
)
_STEPS: Final = """
select at, concat_ws(' ', 'renewal', 'v' || version, message, attempt, '->', to_state, reason, detail) as told
from renewal.renewal_history where renewal_id = $1
union all
select first_sent_at, concat_ws(' ', 'payment', operation, ordinal, status, code, 'until', ended_at)
from payment.payment_attempts where renewal_id = $1
union all
select first_sent_at, concat_ws(' ', 'provisioning', operation, ordinal, status, reason, 'asked', asked,
    'claims', claim, 'until', ended_at)
from provisioning.top_up_attempts where renewal_id = $1
order by at nulls last
limit 100
"""


async def traces(database: Pool, suspects: Collection[str]) -> AsyncIterator[str]:
    """Lines about these renewals and about those that never ended, the first few of them."""
    unfinished = [row[0] for row in await database.fetch(_OPEN, MOST_TRACED)]
    for renewal_id in list(dict.fromkeys([*suspects, *unfinished]))[:MOST_TRACED]:
        yield f"renewal {renewal_id}:"
        for at, told in await database.fetch(_STEPS, renewal_id):
            yield f"    {f'{at:%H:%M:%S.%f}' if at else 'not sent':15}  {told}"
