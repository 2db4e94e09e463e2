"""Carries decisions out: at once where one person may decide, by proposal and approval where two must.

The renewal is locked first, everywhere, and its proposal under that lock: no two of these deadlock.
"""

from datetime import timedelta
from http import HTTPStatus
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from services.renewal import store as renewals
from services.renewal.domain.policy import Moment, Policy
from services.renewal.domain.renewal import Renewal
from services.renewal.domain.saga import decide
from services.renewal.moves import Moves
from services.renewal.operators import store
from services.renewal.operators.domain.decision import CHOICES, Decision, choices, possible
from services.renewal.operators.domain.proposal import Proposal, ProposalState, is_replaceable, objection
from services.renewal.operators.store import Deed
from services.renewal.routes import not_possible, renewal_not_found
from shared.http.problems import Problem
from shared.messaging.transaction import Transaction


class Wanted(NamedTuple):
    """What one operator wants done to a renewal as they saw it, and why."""

    operator: str
    decision: Decision
    why: str
    version: int


async def act(transaction: Transaction, policy: Policy, renewal_id: UUID, wanted: Wanted) -> None:
    """Do it now: what one person may decide alone.

    Raises:
        Problem: there is no such renewal, it has moved, or its state does not allow it.
    """
    renewal = await _locked(transaction, renewal_id)
    _require_version(renewal, wanted.version, Moment(transaction.now, policy))
    await _carry_out(transaction, policy, renewal, wanted)


async def propose(
    transaction: Transaction, policy: Policy, renewal_id: UUID, wanted: Wanted, life: timedelta
) -> Proposal:
    """Ask for a second person; refused where the renewal's state would not allow it as it is.

    Raises:
        Problem: as `act`, or something else is proposed already.
    """
    connection, now = transaction.connection, transaction.now
    moment = Moment(now, policy)
    renewal = await _locked(transaction, renewal_id)
    _require_version(renewal, wanted.version, moment)
    tried = decide(renewal, wanted.decision.asked_by(wanted.operator, wanted.why), moment)
    if tried.history is None:
        raise _refused(renewal, tried.ignored, wanted.decision, moment)
    earlier = await store.lock_open_proposal(connection, renewal_id)
    if earlier is not None:
        if not is_replaceable(earlier, renewal, now):
            raise _already_proposed(earlier)
        over: ProposalState = "expired" if earlier.state_at(now) == "expired" else "superseded"
        await store.decide_proposal(connection, earlier.proposal_id, over, now)
    proposal = Proposal(
        uuid7(),
        renewal_id,
        renewal.version,
        wanted.decision.action,
        wanted.decision.choice,
        wanted.why,
        wanted.operator,
        now,
        now + life,
    )
    await store.insert_proposal(connection, proposal)
    seen = store.standing(renewal)
    await _note(transaction, proposal, wanted.operator, "proposed", wanted.why, seen, seen)
    return proposal


async def approve(transaction: Transaction, policy: Policy, proposal_id: UUID, by: str, why: str) -> UUID:
    """Carry out what another operator proposed, if the renewal is still as it was then. Its renewal's id.

    Raises:
        Problem: there is no such proposal, it is over, its own proposer approves, or the renewal has moved.
    """
    renewal, proposal = await _locked_proposal(transaction, proposal_id)
    moment = Moment(transaction.now, policy)
    against = objection(proposal, by, renewal, transaction.now)
    if against is not None and against.problem == "renewal-has-moved":
        raise _moved(renewal, f"{against.detail} Nothing was done.", moment)
    if against is not None:
        status = HTTPStatus.FORBIDDEN if against.problem == "second-person-needed" else HTTPStatus.CONFLICT
        raise Problem(
            status,
            type=against.problem,
            detail=f"{against.detail} Nothing was done.",
            state=proposal.state_at(transaction.now),
            version=renewal.version,
        )
    await store.decide_proposal(transaction.connection, proposal_id, "approved", transaction.now, by, why)
    action = proposal.decision.asked_by(proposal.proposed_by, proposal.why, by)
    moves = Moves(transaction, policy, [renewal])
    decided = moves.apply(renewal, action, None)
    if decided.history is None:
        raise _refused(renewal, decided.ignored, proposal.decision, moment)
    await moves.write()
    before, after = store.standing(renewal), store.standing(decided.renewal)
    await _note(transaction, proposal, by, "approved", why, before, after)
    return proposal.renewal_id


async def reject(transaction: Transaction, proposal_id: UUID, by: str, why: str) -> Proposal:
    """Be against it; the proposer takes it back so.

    Raises:
        Problem: there is no such proposal, or it is over.
    """
    now = transaction.now
    renewal, proposal = await _locked_proposal(transaction, proposal_id)
    if proposal.state_at(now) != "open":
        against = objection(proposal, by, renewal, now)
        raise Problem(
            HTTPStatus.CONFLICT,
            type="proposal-not-open",
            detail=against.detail if against else "",
            state=proposal.state_at(now),
        )
    await store.decide_proposal(transaction.connection, proposal_id, "rejected", now, by, why)
    seen = store.standing(renewal)
    await _note(transaction, proposal, by, "rejected", why, seen, seen)
    return proposal._replace(state="rejected", decided_by=by, decided_at=now, decided_why=why)


async def _locked(transaction: Transaction, renewal_id: UUID) -> Renewal:
    locked = await renewals.lock(transaction.connection, [renewal_id])
    if not locked:
        raise renewal_not_found(renewal_id)
    return locked[0]


async def _locked_proposal(transaction: Transaction, proposal_id: UUID) -> tuple[Renewal, Proposal]:
    renewal_id = await store.find_proposal(transaction.connection, proposal_id)
    if renewal_id is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            type="proposal-not-found",
            title="There is no such proposal",
            detail=f"Nothing was proposed under the id {proposal_id}. "
            "Find it in GET /v1/operator/proposals?state=open.",
        )
    renewal = await _locked(transaction, renewal_id)
    return renewal, await store.lock_proposal(transaction.connection, proposal_id)


def _require_version(renewal: Renewal, version: int, moment: Moment) -> None:
    if renewal.version != version:
        detail = (
            f"The decision was made on version {version}, the renewal is {renewal.state} in version "
            f"{renewal.version} now. Look at it again, then decide again."
        )
        raise _moved(renewal, detail, moment)


def _moved(renewal: Renewal, detail: str, moment: Moment) -> Problem:
    """With how it stands now, so that whoever decides again knows on what and between what."""
    allowed = possible(renewal, moment)
    return Problem(
        HTTPStatus.CONFLICT,
        type="renewal-has-moved",
        title="The renewal has moved since it was looked at",
        detail=f"{detail} Possible now: {', '.join(allowed) or 'nothing'}.",
        version=renewal.version,
        state=renewal.state,
        allowed=allowed,
    )


def _refused(renewal: Renewal, why: str | None, decision: Decision, moment: Moment) -> Problem:
    """With what would do something instead, and which choices of the same action would."""
    problem = not_possible(renewal.state, why, possible(renewal, moment))
    if decision.action in CHOICES:
        problem.extra["choices"] = choices(decision.action, renewal, moment)
    return problem


async def _carry_out(transaction: Transaction, policy: Policy, renewal: Renewal, wanted: Wanted) -> None:
    moves = Moves(transaction, policy, [renewal])
    decided = moves.apply(renewal, wanted.decision.asked_by(wanted.operator, wanted.why), None)
    if decided.history is None:
        raise _refused(renewal, decided.ignored, wanted.decision, Moment(transaction.now, policy))
    await moves.write()
    deed = Deed(
        wanted.operator,
        "done",
        wanted.decision.action,
        wanted.decision.choice,
        wanted.why,
        renewal.renewal_id,
        before=store.standing(renewal),
        after=store.standing(decided.renewal),
    )
    await store.write_audit(transaction.connection, transaction.now, [deed])


async def _note(
    transaction: Transaction, proposal: Proposal, by: str, step: str, why: str, before: str, after: str
) -> None:
    deed = Deed(
        by,
        step,
        proposal.action,
        proposal.choice,
        why,
        proposal.renewal_id,
        proposal.proposal_id,
        before=before,
        after=after,
    )
    await store.write_audit(transaction.connection, transaction.now, [deed])


def _already_proposed(earlier: Proposal) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        type="proposal-open",
        title="Something is proposed already",
        detail=f"{earlier.proposed_by} proposed {' '.join(filter(None, earlier.decision))} about this "
        f"renewal ({earlier.proposal_id}). Approve or reject that first. Nothing was done.",
        proposal_id=str(earlier.proposal_id),
    )
