"""Operators decide about renewals: by name, with a reason, on the version they saw, two where it is money."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from shared.clock import utc_now
from shared.contracts.payment_commands import CancelPayment, CapturePayment, RefundPayment
from shared.contracts.renewals import RenewalParked, RenewalRefunded, RenewalRequested
from shared.contracts.topup_commands import CancelTopUp, ResolveTopUp
from shared.operators.tokens import sign
from tests.integration.renewal.conftest import SECRET, begun, known, row, signed_in
from tests.integration.renewal.operating import SEEN, WHY, Operator, hanging, shown, undetermined
from tests.integration.wired import Wired


async def test_a_parked_renewal_is_announced_and_shown_with_its_reason(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    assert (seen["state"], seen["parked_reason"]) == ("parked", "top_up_undetermined")
    assert [one.reason for one in renewal.said(RenewalParked) if one.renewal_id == about.renewal_id] == [
        "top_up_undetermined"
    ]


@pytest.mark.parametrize(
    ("action", "command", "state"),
    [("retry", CapturePayment, "priced"), ("cancel", CancelPayment, "cancelling_payment")],
)
async def test_one_operator_may_retry_or_cancel_and_is_named_with_the_reason(
    renewal: Wired, action: str, command: Any, state: str
) -> None:
    [about] = await begun(renewal, *await known(renewal))
    await renewal.consume("saga", about.priced())
    seen = await shown(renewal, about)
    ana = Operator(renewal)
    reply = await ana.decide(about, "act", seen["version"], action=action)
    assert (reply.status, reply.body["state"]) == (202, state)
    assert len([one for one in renewal.said(command) if one.renewal_id == about.renewal_id]) == 1
    assert reply.body["history"][-1]["detail"] == f"by ana: {WHY}"
    [deed] = await ana.audit(about)
    assert (deed["operator"], deed["step"], deed["action"], deed["why"]) == ("ana", "done", action, WHY)
    assert (deed["before"]["state"], deed["before"]["version"]) == ("priced", seen["version"])
    assert (deed["after"]["state"], deed["after"]["version"]) == (state, reply.body["version"])


async def test_where_money_was_taken_one_operator_cannot_cancel_and_is_shown_what_two_can(
    renewal: Wired,
) -> None:
    """From the capture on, in every state: it would give the money back on one person's word."""
    [about] = await begun(renewal, *await known(renewal))
    paid, unknown = (about.priced(), about.captured()), (about.undetermined(),)
    for facts, state in ((paid, "captured"), (unknown, "parked")):
        await renewal.consume("saga", *facts)
        seen = await shown(renewal, about)
        assert seen["state"] == state
        reply = await Operator(renewal).decide(about, "act", seen["version"], action="cancel")
        assert (reply.status, reply.problem) == (409, "not-possible-now")
        assert "refund" in reply.body["allowed"]
        assert "cancel" not in reply.body["allowed"]
        assert (await shown(renewal, about))["version"] == seen["version"]
    assert not [one for one in renewal.said(CancelTopUp) if one.renewal_id == about.renewal_id]
    assert await Operator(renewal).audit(about) == []


async def test_a_finding_is_proposed_by_one_approved_by_another_and_told_to_the_authority(
    renewal: Wired,
) -> None:
    about, seen = await undetermined(renewal)
    proposal = await Operator(renewal, "ana").decide(about, "resolve", seen["version"], found="applied")
    assert (proposal.status, proposal.body["state"], proposal.body["proposed_by"]) == (202, "open", "ana")
    assert not [one for one in renewal.said(ResolveTopUp) if one.renewal_id == about.renewal_id]

    approved = await Operator(renewal, "ben").approve(proposal)
    assert (approved.status, approved.body["state"]) == (202, "parked")
    [command] = [one for one in renewal.said(ResolveTopUp) if one.renewal_id == about.renewal_id]
    assert (command.decision, command.decided_by) == ("applied", "ana:ben")
    assert approved.body["history"][-1]["detail"] == f"by ana, approved by ben: {WHY}"
    await renewal.consume("saga", about.applied())
    assert (await shown(renewal, about))["state"] == "completed"

    proposed, done = await Operator(renewal).audit(about)
    assert (proposed["operator"], proposed["step"], proposed["why"]) == ("ana", "proposed", WHY)
    assert (done["operator"], done["step"], done["why"]) == ("ben", "approved", SEEN)
    assert (proposed["choice"], done["choice"]) == ("applied", "applied")
    assert proposed["proposal_id"] == done["proposal_id"] == proposal.body["proposal_id"]
    assert done["after"]["version"] == done["before"]["version"] + 1


async def test_a_refund_goes_through_provisioning_once_it_is_approved(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    proposal = await Operator(renewal, "ana").decide(about, "refund", seen["version"])
    approved = await Operator(renewal, "ben").approve(proposal)
    assert approved.body["state"] == "cancelling_top_up"
    assert not [one for one in renewal.said(RefundPayment) if one.renewal_id == about.renewal_id]
    await renewal.consume("saga", about.top_up_rejected())
    assert [one.reason for one in renewal.said(RefundPayment) if one.renewal_id == about.renewal_id] == [
        "operator_refunded"
    ]


async def test_an_approved_release_closes_it_and_frees_the_slot(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    proposal = await Operator(renewal, "ana").decide(about, "release", 4, outcome="refunded")
    approved = await Operator(renewal, "ben").approve(proposal)
    assert (approved.status, approved.body["state"], approved.body["flags"]) == (
        202,
        "refunded",
        ["released"],
    )
    assert approved.body["history"][-1]["detail"] == f"by ana, approved by ben: {WHY}"
    assert [said.reason for said in renewal.said(RenewalRefunded) if said.renewal_id == about.renewal_id]
    [told] = [said for said in renewal.said(ResolveTopUp) if said.renewal_id == about.renewal_id]
    assert (told.decision, told.decided_by) == ("not_applied", "ana:ben")
    await renewal.consume("admission", one.request("r-2"))
    said = [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]
    assert len(said) == 2


@pytest.mark.parametrize("outcome", ["completed", "failed", "cancelled"])
async def test_a_release_that_contradicts_what_is_known_says_which_would_not(
    renewal: Wired, outcome: str
) -> None:
    """Provisioning has promised that nothing was or will be applied, and the money is still here."""
    about, seen = await hanging(renewal)
    reply = await Operator(renewal).decide(about, "release", seen["version"], outcome=outcome)
    assert (reply.status, reply.problem) == (409, "not-possible-now")
    assert (reply.body["choices"], "release" in reply.body["allowed"]) == (["refunded"], True)
    assert "it can be released as refunded" in reply.body["detail"]
    assert (await shown(renewal, about))["version"] == seen["version"]


async def test_nobody_approves_what_they_proposed_themselves(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    ana = Operator(renewal, "ana")
    proposal = await ana.decide(about, "release", seen["version"], outcome="refunded")
    reply = await ana.approve(proposal)
    assert (reply.status, reply.problem) == (403, "second-person-needed")
    assert "Possible for ana now: reject." in reply.body["detail"]
    assert (await row(renewal, about.renewal_id))["state"] == "parked"


async def test_an_approval_is_about_the_version_that_was_seen(renewal: Wired) -> None:
    about, seen = await hanging(renewal)
    proposal = await Operator(renewal, "ana").decide(about, "release", seen["version"], outcome="refunded")
    moved = await Operator(renewal, "otto").decide(about, "act", seen["version"], action="retry")
    reply = await Operator(renewal, "ben").approve(proposal)
    assert (reply.status, reply.problem) == (409, "renewal-has-moved")
    assert (reply.body["version"], reply.body["state"]) == (moved.body["version"], "refunding")
    assert reply.body["allowed"] == ["retry"]
    assert "Possible now: retry." in reply.body["detail"]
    assert (await row(renewal, about.renewal_id))["state"] == "refunding"


async def test_what_the_renewal_has_overtaken_makes_room_for_another_proposal(renewal: Wired) -> None:
    about, seen = await hanging(renewal)
    ana, ben = Operator(renewal, "ana"), Operator(renewal, "ben")
    first = await ana.decide(about, "resolve", seen["version"], found="refunded")
    await ben.decide(about, "act", seen["version"], action="retry")
    await renewal.consume("saga", about.refund_rejected("account_closed", attempt=2))
    second = await ana.decide(about, "refund", (await shown(renewal, about))["version"])
    assert second.status == 202
    assert "proposed instead" in (await ben.approve(first)).body["detail"]
    assert (await ben.approve(second)).status == 202


async def test_one_thing_at_a_time_is_proposed_about_a_renewal(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    first = await Operator(renewal, "ana").decide(about, "resolve", seen["version"], found="applied")
    second = await Operator(renewal, "ben").decide(about, "release", seen["version"], outcome="refunded")
    assert (second.status, second.problem) == (409, "proposal-open")
    assert second.body["proposal_id"] == first.body["proposal_id"]

    rejected = await Operator(renewal, "ben").reject(first)
    assert (rejected.status, rejected.body["state"], rejected.body["decided_by"]) == (200, "rejected", "ben")
    third = await Operator(renewal, "ben").decide(about, "release", seen["version"], outcome="refunded")
    assert third.status == 202
    reply = await Operator(renewal, "ana").approve(first)
    assert (reply.status, reply.problem) == (409, "proposal-not-open")
    assert "rejected by ben" in reply.body["detail"]
    assert (await Operator(renewal, "cleo").reject(first)).problem == "proposal-not-open"


async def test_a_proposal_that_nobody_approved_in_time_is_over(renewal: Wired) -> None:
    about, seen = await undetermined(renewal)
    ana, ben = Operator(renewal, "ana"), Operator(renewal, "ben")
    proposal = await ana.decide(about, "release", seen["version"], outcome="refunded")
    await renewal.pool.execute(
        "update operator_proposals set expires_at = now() - interval '1 second' where renewal_id = $1",
        about.renewal_id,
    )
    reply = await ben.approve(proposal)
    assert (reply.status, reply.problem) == (409, "proposal-not-open")
    assert "Nobody approved it before" in reply.body["detail"]
    path = f"/v1/operator/proposals?renewal_id={about.renewal_id}&state="
    assert [len((await ana.get(path + state)).body["items"]) for state in ("open", "expired")] == [0, 1]
    again = await ana.decide(about, "release", seen["version"], outcome="refunded")
    assert (await ben.approve(again)).status == 202


async def test_what_waits_for_a_second_person_is_listed_in_pages(renewal: Wired) -> None:
    ana = Operator(renewal, "ana")
    made = []
    for _ in range(3):
        about, seen = await undetermined(renewal)
        made.append((await ana.decide(about, "refund", seen["version"])).body["proposal_id"])
    first = (await ana.get("/v1/operator/proposals?state=open&limit=2")).body
    rest = (await ana.get(f"/v1/operator/proposals?state=open&limit=2&cursor={first['next_cursor']}")).body
    listed = [one["proposal_id"] for one in (*first["items"], *rest["items"])]
    assert listed[:3] == made[::-1]


async def test_a_decision_on_an_older_version_is_refused_with_the_version_now(renewal: Wired) -> None:
    about, seen = await hanging(renewal)
    for how, body in (("act", {"action": "retry"}), ("refund", {}), ("resolve", {"found": "refunded"})):
        reply = await Operator(renewal).decide(about, how, seen["version"] - 1, **body)
        assert (reply.status, reply.problem) == (409, "renewal-has-moved")
        assert (reply.body["version"], reply.body["state"]) == (seen["version"], "parked")
        assert reply.body["allowed"] == ["retry", "refund", "resolve", "release"]
    assert await Operator(renewal).audit(about) == []


async def test_what_is_not_possible_says_what_is(renewal: Wired) -> None:
    [about] = await begun(renewal, *await known(renewal))
    reply = await Operator(renewal).decide(about, "release", 1, outcome="failed")
    assert (reply.status, reply.problem) == (409, "not-possible-now")
    assert (reply.body["allowed"], reply.body["choices"]) == (["retry", "cancel"], [])
    assert "Possible now: retry, cancel." in reply.body["detail"]


@pytest.mark.parametrize(
    ("path", "body", "problem"),
    [
        ("/v1/renewals/{}/operator/act", {"action": "retry", "version": 1}, "renewal-not-found"),
        ("/v1/renewals/{}/operator/refund", {"version": 1}, "renewal-not-found"),
        ("/v1/operator/proposals/{}/approve", {}, "proposal-not-found"),
        ("/v1/operator/proposals/{}/reject", {}, "proposal-not-found"),
    ],
)
async def test_an_id_that_nobody_knows_says_where_to_find_the_right_one(
    renewal: Wired, path: str, body: dict[str, Any], problem: str
) -> None:
    unknown = "01234567-89ab-7def-8123-456789abcdef"
    reply = await Operator(renewal).post(path.format(unknown), why=WHY, **body)
    assert (reply.status, reply.problem) == (404, problem)
    assert "GET /v1/" in reply.body["detail"]


async def test_a_retry_is_not_offered_where_the_answer_is_known_to_be_the_same(renewal: Wired) -> None:
    """Parked, because provisioning does not know: it says so again as often as it is told to apply."""
    about, seen = await undetermined(renewal)
    reply = await Operator(renewal).decide(about, "act", seen["version"], action="retry")
    assert (reply.status, reply.problem) == (409, "not-possible-now")
    assert reply.body["allowed"] == ["refund", "resolve", "release"]
    assert "has to be found out" in reply.body["detail"]
    assert (await shown(renewal, about))["version"] == seen["version"]


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ("act", {"action": "nonsense", "version": 1, "why": WHY}),
        ("act", {"action": "refund", "version": 1, "why": WHY}),
        ("act", {"action": "retry", "why": WHY}),
        ("act", {"action": "retry", "version": 1}),
        ("act", {"action": "retry", "version": 1, "why": ""}),
        ("resolve", {"version": 1, "found": "maybe", "why": WHY}),
        ("release", {"version": 1, "outcome": "failed"}),
    ],
)
async def test_an_unreadable_decision_is_refused(renewal: Wired, how: str, body: dict[str, Any]) -> None:
    about, _ = await undetermined(renewal)
    reply = await Operator(renewal).post(f"/v1/renewals/{about.renewal_id}/operator/{how}", **body)
    assert (reply.status, reply.problem) == (422, "invalid-request")


async def test_the_audit_is_only_ever_added_to(renewal: Wired) -> None:
    about, seen = await hanging(renewal)
    await Operator(renewal).decide(about, "act", seen["version"], action="retry")
    for change in ("update operator_audit set operator = 'nobody'", "delete from operator_audit"):
        with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
            await renewal.pool.execute(change)
    with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
        await renewal.pool.execute("truncate operator_audit")


async def test_the_audit_is_read_in_pages_by_operator(renewal: Wired) -> None:
    zoe = Operator(renewal, "zoe")
    done = []
    for _ in range(3):
        [about] = await begun(renewal, *await known(renewal))
        await zoe.decide(about, "act", 1, action="cancel")
        done.append(str(about.renewal_id))
    first = (await zoe.get("/v1/operator/audit?operator=zoe&limit=2")).body
    rest = (await zoe.get(f"/v1/operator/audit?operator=zoe&limit=2&cursor={first['next_cursor']}")).body
    assert [one["renewal_id"] for one in (*first["items"], *rest["items"])] == done[::-1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("headers", "status", "problem"),
    [
        ({}, 401, "operator-token-missing"),
        ({"recarga-caller": "ana"}, 401, "operator-token-missing"),
        ({"authorization": "Basic YW5hOmFuYQ=="}, 401, "operator-token-missing"),
        ({"authorization": "Bearer nonsense"}, 401, "operator-token-refused"),
        (signed_in("vera", "viewer"), 403, "role-not-sufficient"),
    ],
    ids=["nobody", "a name alone", "a password", "nonsense", "a viewer"],
)
async def test_nobody_decides_without_a_token_of_the_role_and_is_told_how_to_get_one(
    renewal: Wired, headers: dict[str, str], status: int, problem: str
) -> None:
    about, seen = await undetermined(renewal)
    path = f"/v1/renewals/{about.renewal_id}/operator/act"
    body = {"action": "retry", "version": seen["version"], "why": WHY}
    reply = await renewal.request("POST", path, body, headers)
    assert (reply.status, reply.problem) == (status, problem)
    assert "make operator-token NAME=you" in reply.body["detail"]
    assert (await row(renewal, about.renewal_id))["version"] == seen["version"]


async def test_a_token_that_is_over_says_until_when_it_was_good(renewal: Wired) -> None:
    over = sign(SECRET, "ana", "operator", utc_now() - timedelta(hours=2), timedelta(hours=1))
    reply = await renewal.request("GET", "/v1/operator/audit", None, {"authorization": f"Bearer {over}"})
    assert (reply.status, reply.problem) == (401, "operator-token-refused")
    assert "was good until" in reply.body["detail"]


async def test_a_viewer_looks(renewal: Wired) -> None:
    vera = Operator(renewal, "vera", "viewer")
    assert [(await vera.get(f"/v1/operator/{what}")).status for what in ("audit", "proposals")] == [200, 200]
