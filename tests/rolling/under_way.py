"""What a deployment finds in the middle: a renewal in every state that can be open, left so by a run.

The sandbox forgets everything before it, so that the journals of PSP and carrier that are kept with the rows
tell of these renewals alone.
"""

import shutil
from pathlib import Path
from typing import Final

from tests.acceptance.http_caller import send_json
from tests.acceptance.office import Office

REJECTS: Final = "10"
"""The two digits of an ICCID whose carrier refuses every top-up."""
REFUND_SECONDS: Final = 120.0
"""So long does the PSP take over a refund: it is made while nobody of the older version looks any more."""


async def leave_under_way(office: Office, sandbox: Path) -> None:
    """One renewal in each open state; in the end only the saga runs. `sandbox` is where journals are."""
    await _parked(office, sandbox)
    await office.in_state(await office.begun(await office.seeded(cards=("sca",))), "awaiting_customer")
    captured, cancelling_top_up = await office.seeded(), await office.seeded()
    priced, cancelling_payment, requested = [await office.seeded() for _ in range(3)]
    await _refunding(office)
    await office.stack.stop("provisioning-1")
    await office.in_state(await office.begun(captured), "captured")
    await _called_off(office, await office.begun(cancelling_top_up), "captured", "cancelling_top_up")
    await office.stack.stop("payment-1")
    await office.in_state(await office.begun(priced), "priced")
    await _called_off(office, await office.begun(cancelling_payment), "priced", "cancelling_payment")
    await office.stack.stop("catalog-1")
    await office.in_state(await office.begun(requested), "requested")


async def _parked(office: Office, sandbox: Path) -> None:
    """Its payment is sent back to a PSP that knows nothing of it any more."""
    subscriber = await office.seeded(carrier_code=REJECTS)
    await office.stack.stop("provisioning-1")
    renewal_id = await office.begun(subscriber)
    await office.in_state(renewal_id, "captured")
    await office.stack.stop("sandbox")
    shutil.rmtree(sandbox)
    await office.stack.restart("sandbox")
    await office.stack.restart("provisioning-1")
    await office.in_state(renewal_id, "parked")


async def _refunding(office: Office) -> None:
    rule = {
        "operation": "create_refund",
        "behaviour": "refund_pending",
        "seconds": REFUND_SECONDS,
        "count": 1,
    }
    reply = await send_json(office.stack.psp_url, "PUT", "/faults", {"faults": [rule]})
    assert reply.status == 200, reply
    renewal_id = await office.begun(await office.seeded(carrier_code=REJECTS))
    await office.in_state(renewal_id, "refunding")

    async def sent() -> bool:
        return bool(
            await office.database.fetchval(
                "select count(*) from payment.payment_attempts"
                " where renewal_id = $1 and operation = 'refund' and provider_reference is not null",
                renewal_id,
            )
        )

    await office.until(sent, "the PSP has taken the refund on")


async def _called_off(office: Office, renewal_id: str, before: str, after: str) -> None:
    await office.in_state(renewal_id, before)
    await office.ok("renewal", "POST", f"/v1/renewals/{renewal_id}/cancel")
    await office.in_state(renewal_id, after)
