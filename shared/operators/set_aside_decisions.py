"""Carries out what operators decide about keys that were set aside: one proposes, another approves.

The proposal is locked first, then its keys in key order, as the consumer locks the records of one key at a
time: no two of these deadlock.
"""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from shared.http.problems import Problem
from shared.messaging.transaction import Transaction
from shared.operators import set_aside_store as store
from shared.operators.set_aside import (
    PROPOSALS_LIVE,
    Action,
    KeyProposal,
    Objection,
    Place,
    ProposalState,
    WaitingKey,
    against,
    against_approval,
    against_decision,
)
from shared.operators.set_aside_store import Deed, standing

_STATUS: Final[Mapping[str, HTTPStatus]] = {
    "second-person-needed": HTTPStatus.FORBIDDEN,
    "set-aside-key-not-found": HTTPStatus.NOT_FOUND,
}
"""Every other objection is a conflict."""


class Wanted(NamedTuple):
    """What one operator wants done to keys of a consumer as they saw them: versions by key id."""

    operator: str
    action: Action
    consumer: str
    seen: Mapping[str, str]
    why: str
    record: Place | None = None


class Approved(NamedTuple):
    """An approved proposal, to which keys it was done, and which were not any more as they were seen."""

    proposal: KeyProposal
    done: list[str]
    moved: list[str]


async def propose(transaction: Transaction, wanted: Wanted, never_discarded: Collection[str]) -> KeyProposal:
    """Ask for a second person; refused where it could not be done to the keys as they are.

    Raises:
        Problem: a key does not wait, has another version, or does not allow it.
    """
    connection, now = transaction.connection, transaction.now
    keys = await store.lock_keys(connection, wanted.consumer, wanted.seen)
    for key_id, version in wanted.seen.items():
        _refuse(against(wanted.action, key_id, version, keys.get(key_id)), keys.get(key_id))
    if wanted.record is not None:
        await _require_record(transaction, wanted, wanted.record, never_discarded)
    topic, partition, offset = wanted.record or (None, None, None)
    proposal = KeyProposal(
        uuid7(),
        wanted.action,
        wanted.consumer,
        list(wanted.seen),
        list(wanted.seen.values()),
        topic,
        partition,
        offset,
        wanted.why,
        wanted.operator,
        now,
        now + PROPOSALS_LIVE,
    )
    await store.insert_proposal(connection, proposal)
    deeds = [
        _deed(proposal, wanted.operator, "proposed", wanted.why, key_id, keys[key_id], None)
        for key_id in wanted.seen
    ]
    await store.write_audit(connection, now, deeds)
    return proposal


async def _require_record(
    transaction: Transaction, wanted: Wanted, place: Place, never_discarded: Collection[str]
) -> None:
    if place.topic in never_discarded:
        raise Problem(
            HTTPStatus.CONFLICT,
            type="set-aside-never-discarded",
            detail=f"Records of {place.topic} tell of money or of data that was granted: to discard one "
            "is to forget that. Mend what cannot handle it, then release the key. Nothing was proposed.",
            allowed=["release"],
        )
    [key_id] = wanted.seen
    before = place._replace(offset=place.offset - 1)
    found = await store.list_records(transaction.connection, wanted.consumer, key_id, before, 1)
    if not found or Place(*found[0][:3]) != place:
        raise _record_not_found(key_id, place)


def _record_not_found(key_id: str, place: Place) -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        type="set-aside-record-not-found",
        detail=f"No record of the key {key_id} waits at {place.topic}, partition {place.partition}, offset "
        f"{place.offset}. Look at the records of the key. Nothing was done.",
    )


async def approve(transaction: Transaction, proposal_id: UUID, approver: str, why: str) -> Approved:
    """Do what somebody else proposed, to the keys that are still as they saw them.

    Raises:
        Problem: there is no such proposal, it is not open, it is the approver's own, or no key is as it was.
    """
    connection, now = transaction.connection, transaction.now
    proposal = await _locked(transaction, proposal_id)
    _refuse(against_approval(proposal, approver, now), None)
    keys = await store.lock_keys(connection, proposal.consumer, proposal.key_ids)
    objections = {
        key_id: objection
        for key_id, version in proposal.seen.items()
        if (objection := against(proposal.action, key_id, version, keys.get(key_id))) is not None
    }
    done = [key_id for key_id in proposal.key_ids if key_id not in objections]
    if not done:
        key_id = proposal.key_ids[0]
        _refuse(objections[key_id], keys.get(key_id))
    await _carry_out(transaction, proposal, done)
    after = await store.read_keys(connection, proposal.consumer, done)
    deeds = [
        _deed(proposal, approver, "approved", why, key_id, keys[key_id], after.get(key_id)) for key_id in done
    ]
    await store.write_audit(connection, now, deeds)
    decided = await _decided(transaction, proposal, "approved", approver, why)
    return Approved(decided, done, list(objections))


async def _carry_out(transaction: Transaction, proposal: KeyProposal, key_ids: Collection[str]) -> None:
    if proposal.record is None:
        await store.set_released(transaction.connection, proposal.consumer, key_ids, transaction.now)
        return
    [key_id] = key_ids
    if not await store.discard(transaction.connection, proposal.consumer, key_id, proposal.record):
        raise _record_not_found(key_id, proposal.record)


async def reject(transaction: Transaction, proposal_id: UUID, operator: str, why: str) -> KeyProposal:
    """Be against it, or take back what one has proposed.

    Raises:
        Problem: there is no such proposal, or it is not open.
    """
    proposal = await _locked(transaction, proposal_id)
    _refuse(against_decision(proposal, transaction.now), None)
    keys = await store.read_keys(transaction.connection, proposal.consumer, proposal.key_ids)
    deeds = [
        _deed(proposal, operator, "rejected", why, key_id, keys.get(key_id), None)
        for key_id in proposal.key_ids
    ]
    await store.write_audit(transaction.connection, transaction.now, deeds)
    return await _decided(transaction, proposal, "rejected", operator, why)


async def hold(transaction: Transaction, wanted: Wanted) -> WaitingKey:
    """Keep a key back that was let go and fails again: one operator may, since nothing is handled by that.

    Raises:
        Problem: the key does not wait, has another version, or was not let go.
    """
    connection = transaction.connection
    [(key_id, version)] = wanted.seen.items()
    key = (await store.lock_keys(connection, wanted.consumer, [key_id])).get(key_id)
    _refuse(against("hold", key_id, version, key), key)
    await store.set_released(connection, wanted.consumer, [key_id], None)
    held = (await store.read_keys(connection, wanted.consumer, [key_id]))[key_id]
    told = (wanted.operator, "done", "hold", wanted.consumer, key_id, wanted.why, None)
    await store.write_audit(connection, transaction.now, [Deed(*told, standing(key), standing(held))])
    return held


async def _locked(transaction: Transaction, proposal_id: UUID) -> KeyProposal:
    proposal = await store.lock_proposal(transaction.connection, proposal_id)
    if proposal is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            type="set-aside-proposal-not-found",
            detail=f"Nothing was proposed here under the id {proposal_id}. "
            "Find it in GET /v1/operator/set-aside-proposals?state=open of the service that holds the key.",
        )
    return proposal


async def _decided(
    transaction: Transaction, proposal: KeyProposal, state: ProposalState, by: str, why: str
) -> KeyProposal:
    decided = proposal._replace(state=state, decided_by=by, decided_at=transaction.now, decided_why=why)
    await store.decide_proposal(transaction.connection, decided)
    return decided


def _deed(
    proposal: KeyProposal,
    operator: str,
    step: str,
    why: str,
    key_id: str,
    before: WaitingKey | None,
    after: WaitingKey | None,
) -> Deed:
    told = (operator, step, proposal.action, proposal.consumer, key_id, why, proposal.proposal_id)
    return Deed(*told, standing(before), standing(after))


def _refuse(objection: Objection | None, key: WaitingKey | None) -> None:
    """With how the key stands now, so that whoever decides again knows on what and between what."""
    if objection is None:
        return
    raise Problem(
        _STATUS.get(objection.problem, HTTPStatus.CONFLICT),
        type=objection.problem,
        detail=f"{objection.detail} Nothing was done.",
        version=key and key.version,
        allowed=[] if key is None else key.allowed,
    )
