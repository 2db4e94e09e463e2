"""Records mandates and revokes them; each step is audited."""

from datetime import timedelta
from http import HTTPStatus
from typing import Final

from services.renewal.operators.store import Deed, write_audit
from services.renewal.rules import mandate_store, store
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.mandate_store import Name
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction

_CLOCKS_DIFFER: Final = timedelta(minutes=5)


async def record(transaction: Transaction, given: Mandate) -> tuple[Mandate, bool]:
    """The mandate as it is kept, and whether it is new.

    Raises:
        Problem: there is another one of that name, or it was given in the future.
    """
    connection = transaction.connection
    if given.given_at > transaction.now + _CLOCKS_DIFFER:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            type="mandate-of-the-future",
            title="Consent cannot have been given later than now",
            detail="given_at lies in the future, so nothing was recorded. Send when the consent was given.",
        )
    name = (given.subscription_id, given.mandate_id)
    before = await mandate_store.read(connection, [name])
    if not before:
        await mandate_store.insert(connection, [given])
    kept = await known(transaction, name)
    if kept.evidence != given.evidence:
        raise Problem(
            HTTPStatus.CONFLICT,
            type="mandate-exists",
            title="There is another mandate of that name",
            detail=f"Mandate {given.mandate_id} was recorded with other contents, and evidence never "
            "changes. Record this one under another name.",
        )
    if not before:
        await _audit(transaction, given.recorded_by, "record mandate", given, "consent was given")
    return kept, not before


async def revoke(transaction: Transaction, name: Name, by: str, why: str) -> Mandate:
    """The mandate, revoked; what was announced on it is called off.

    Raises:
        Problem: there is none of that name.
    """
    mandate = await known(transaction, name)
    if mandate.revoked_at is not None:
        return mandate
    await mandate_store.revoke(transaction.connection, name, transaction.now, by, why)
    await store.call_off_announcements(transaction.connection, [mandate.subscription_id])
    await _audit(transaction, by, "revoke mandate", mandate, why)
    return await known(transaction, name)


async def known(transaction: Transaction, name: Name) -> Mandate:
    """Raises:
    Problem: there is none of that name.
    """
    found = (await mandate_store.read(transaction.connection, [name])).get(name)
    if found is None:
        subscription_id, mandate_id = name
        raise Problem(
            HTTPStatus.NOT_FOUND,
            type="mandate-not-found",
            title="There is no such mandate",
            detail=f"No mandate {mandate_id} was recorded for subscription {subscription_id}. List them with "
            f"GET /v1/subscriptions/{subscription_id}/mandates.",
        )
    return found


async def _audit(transaction: Transaction, by: str, action: str, mandate: Mandate, why: str) -> None:
    choice = f"{mandate.subscription_id} {mandate.mandate_id}"
    await write_audit(transaction.connection, transaction.now, [Deed(by, "done", action, choice, why)])
