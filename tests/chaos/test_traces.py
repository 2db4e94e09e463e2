"""What is told of a renewal with which something is wrong: every step, in every book."""

from __future__ import annotations

from tests.acceptance.office import Office
from tests.chaos.traces import traces


async def test_the_way_of_a_renewal_is_told_by_renewal_payment_and_provisioning(office: Office) -> None:
    subscriber = await office.seeded(cards=("decline_insufficient_funds", "ok"), carrier_code="61")
    renewal = await office.in_state(await office.begun(subscriber), "completed")

    [about, *steps] = [line async for line in traces(office.database, [renewal["renewal_id"]])]

    assert about == f"renewal {renewal['renewal_id']}:"
    told = "\n".join(steps)
    for step in (
        "renewal v1 RequestRenewal -> requested",
        "payment capture 1 declined",
        "payment capture 2 succeeded",
        "provisioning apply 1 failed rate_limited",
        "provisioning apply 2 applied",
        "TopUpApplied 2 -> completed",
    ):
        assert step in told, told
