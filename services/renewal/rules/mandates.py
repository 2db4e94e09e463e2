"""Records mandates and revokes them; each step is audited."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from services.renewal.operators.store import Deed, write_audit
from services.renewal.rules import answers, mandate_store, store
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
    [problem], new = await record_many(transaction, [given])
    if problem is not None:
        raise problem
    name = (given.subscription_id, given.mandate_id)
    return await known(transaction, name), name in new


async def record_many(
    transaction: Transaction, given: Sequence[Mandate]
) -> tuple[list[Problem | None], set[Name]]:
    """For each why it is not kept, or None; and the names of those that are new.

    Five statements, however many they are, and those of an answer where payers were asked for more. The same
    again changes nothing.
    """
    connection, now = transaction.connection, transaction.now
    named = {(one.subscription_id, one.mandate_id): one for one in reversed(given) if _is_past(one, now)}
    before = await mandate_store.read(connection, sorted(named))
    # In the order of their names: two who record the same ones wait, they do not deadlock.
    new = [named[name] for name in sorted(named.keys() - before.keys())]
    kept = before
    if new:
        await mandate_store.insert(connection, new)
        kept = await mandate_store.read(connection, sorted(named))
        deeds = [_deed(one.recorded_by, "record mandate", one, "consent was given") for one in new]
        await write_audit(connection, now, deeds)
        await answers.take(transaction, new)
    return [_problem(one, kept, now) for one in given], named.keys() - before.keys()


def _is_past(given: Mandate, now: datetime) -> bool:
    return given.given_at <= now + _CLOCKS_DIFFER


def _problem(given: Mandate, kept: dict[Name, Mandate], now: datetime) -> Problem | None:
    if not _is_past(given, now):
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            type="mandate-of-the-future",
            title="Consent cannot have been given later than now",
            detail="given_at lies in the future, so nothing was recorded. Send when the consent was given.",
        )
    if kept[given.subscription_id, given.mandate_id].evidence != given.evidence:
        return Problem(
            HTTPStatus.CONFLICT,
            type="mandate-exists",
            title="There is another mandate of that name",
            detail=f"Mandate {given.mandate_id} was recorded with other contents, and evidence never "
            "changes. Record this one under another name.",
        )
    return None


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
    await write_audit(transaction.connection, transaction.now, [_deed(by, "revoke mandate", mandate, why)])
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


def _deed(by: str, action: str, mandate: Mandate, why: str) -> Deed:
    return Deed(by, "done", action, f"{mandate.subscription_id} {mandate.mandate_id}", why)
