"""The comparison can fail: a store in memory that is wrong in one thing is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest

from services.payment import store as payments
from services.provisioning.topups import store as top_ups
from services.renewal import archive as renewal_archive
from services.renewal import store as renewals
from tests.conformance.actors import Difference
from tests.conformance.examine import examine
from tests.conformance.suites import SUITES, messaging
from tests.simulation.stores import archive as archives
from tests.simulation.stores import payment, provisioning, renewal
from tests.simulation.stores.payment import PaymentLine

EXAMPLES: Final = 200
"""Enough for each of these; the first that differs is the last."""


async def believes_whoever_answers(connection: Any, created: Any) -> Any:
    """Whose lease it is does not count."""
    rows = connection.transaction_open.database.payments.rows
    claims = {renewal_id: line.payment.claim for renewal_id, line in rows.items()}
    created = [(*row[:4], claims.get(row[0], row[4])) for row in created]
    return await payment.store_references(connection, created)


async def reads_before_it_locks(connection: Any, renewal_ids: Any) -> Any:
    """No row is held."""
    opened = connection.transaction_open
    found = [opened.get(opened.database.payments, each) for each in renewal_ids]
    lines: list[PaymentLine] = [line for line in found if line is not None]
    return {line.payment.renewal_id: line.payment for line in lines}


async def lets_a_call_be_sent_for_ever(connection: Any, taken: Any, **seconds: float) -> None:
    """The instant until which the call may be sent stays as it was."""
    await provisioning.take(connection, [(*row[:3], False) for row in taken], **seconds)


async def numbers_no_cycle(connection: Any, decisions: Any) -> Any:
    """An applied top-up is not counted."""
    cycles = await provisioning.write_applied(connection, decisions)
    return dict.fromkeys(cycles, 1)


async def gives_a_slot_twice(connection: Any, now: Any, admitted: Any) -> Any:
    """A subscription may have two open renewals."""
    connection.transaction_open.database.slots.rows.clear()
    return await renewal.insert(connection, now, admitted)


async def forgets_the_history(connection: Any, renewal_ids: Any) -> None:
    """What comes back from the archive has no past."""
    table = connection.transaction_open.database.archive
    for renewal_id in renewal_ids:
        table.rows[renewal_id] = table.rows[renewal_id]._replace(history=())
    await archives.bring_renewals_back(connection, renewal_ids)


async def claims_at_once(connection: Any, _older_than_seconds: float, limit: int) -> Any:
    """A batch whose publisher is still at it is taken from it."""
    return await messaging.claim_stranded(connection, 0.0, limit)


@dataclass(frozen=True)
class Defect:
    suite: str
    real: Any
    broken: Callable[..., Any]


DEFECTS: Final = (
    Defect("payment", payments.store_references, believes_whoever_answers),
    Defect("payment", payments.lock_payments, reads_before_it_locks),
    Defect("provisioning", top_ups.take, lets_a_call_be_sent_for_ever),
    Defect("provisioning", top_ups.write_applied, numbers_no_cycle),
    Defect("renewal", renewals.insert, gives_a_slot_twice),
    Defect("renewal", renewal_archive.bring_back, forgets_the_history),
    Defect("messaging", messaging.claim_stranded, claims_at_once),
)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.broken.__name__)
def test_a_store_that_is_wrong_in_one_thing_is_found_out(defect: Defect, clocked: dict[str, str]) -> None:
    suite: Any = SUITES[defect.suite]()
    suite.functions = {**suite.functions, defect.real: defect.broken}
    with pytest.raises(Difference):
        examine(suite, clocked[defect.suite], examples=EXAMPLES, shortens=False)
