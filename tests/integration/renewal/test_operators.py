"""Operators decide about what is parked: by name, on the version they saw, through the authorities."""

from datetime import timedelta
from typing import Any

import pytest

from services.renewal.operators.tokens import sign
from shared.clock import utc_now
from shared.contracts.renewals import RenewalFailed, RenewalParked, RenewalRequested
from shared.contracts.topup_commands import ApplyTopUp, CancelTopUp, ResolveTopUp
from tests.integration.renewal.conftest import SECRET, About, begun, known, row, signed_in
from tests.integration.wired import Reply, Wired


async def parked(renewal: Wired) -> tuple[About, dict[str, Any]]:
    """A renewal whose top-up could not be determined, as it is read."""
    [about] = await begun(renewal, *await known(renewal))
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    return about, (await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")).body


async def decide(renewal: Wired, about: About, how: str, **body: Any) -> Reply:
    path = f"/v1/renewals/{about.renewal_id}/operator/{how}"
    return await renewal.request("POST", path, body, signed_in())


async def test_a_parked_renewal_is_announced_and_shown_with_its_reason(renewal: Wired) -> None:
    about, seen = await parked(renewal)
    assert (seen["state"], seen["parked_reason"]) == ("parked", "top_up_undetermined")
    assert [one.reason for one in renewal.said(RenewalParked) if one.renewal_id == about.renewal_id] == [
        "top_up_undetermined"
    ]


async def test_a_finding_goes_to_the_authority_and_its_fact_ends_it(renewal: Wired) -> None:
    about, seen = await parked(renewal)
    reply = await decide(renewal, about, "resolve", found="applied", version=seen["version"])
    assert (reply.status, reply.body["state"]) == (202, "parked")
    [command] = [one for one in renewal.said(ResolveTopUp) if one.renewal_id == about.renewal_id]
    assert (command.decision, command.decided_by) == ("applied", "ana")
    await renewal.consume("saga", about.applied())
    assert (await renewal.request("GET", f"/v1/renewals/{about.renewal_id}")).body["state"] == "completed"


@pytest.mark.parametrize(
    ("action", "command", "state"),
    [("retry", ApplyTopUp, "captured"), ("cancel", CancelTopUp, "cancelling_top_up")],
)
async def test_what_is_parked_goes_on_as_decided(
    renewal: Wired, action: str, command: Any, state: str
) -> None:
    about, seen = await parked(renewal)
    reply = await decide(renewal, about, "act", action=action, version=seen["version"])
    assert (reply.status, reply.body["state"]) == (202, state)
    assert len([one for one in renewal.said(command) if one.renewal_id == about.renewal_id]) == 1
    assert reply.body["history"][-1]["detail"] == "by ana"


async def test_a_release_is_audited_and_frees_the_slot(renewal: Wired) -> None:
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("saga", about.priced(), about.captured(), about.undetermined())
    reply = await decide(
        renewal, about, "release", outcome="failed", note="refunded by hand, case 7", version=4
    )
    assert (reply.status, reply.body["state"]) == (202, "failed")
    assert reply.body["history"][-1]["detail"] == "by ana: refunded by hand, case 7"
    assert [said.reason for said in renewal.said(RenewalFailed) if said.renewal_id == about.renewal_id]
    await renewal.consume("admission", one.request("r-2"))
    said = [said for said in renewal.said(RenewalRequested) if said.subscription_id == one.subscription_id]
    assert len(said) == 2


async def test_a_decision_on_an_older_version_is_refused(renewal: Wired) -> None:
    about, seen = await parked(renewal)
    reply = await decide(renewal, about, "act", action="retry", version=seen["version"] - 1)
    assert (reply.status, reply.problem) == (409, "renewal-has-moved")
    assert reply.body["version"] == seen["version"]


async def test_what_is_not_possible_says_what_is(renewal: Wired) -> None:
    [about] = await begun(renewal, *await known(renewal))
    reply = await decide(renewal, about, "release", outcome="failed", note="because", version=1)
    assert (reply.status, reply.problem) == (409, "not-possible-now")
    assert reply.body["allowed"] == ["retry", "cancel"]


@pytest.mark.parametrize(
    ("how", "body"),
    [
        ("act", {"action": "nonsense", "version": 1}),
        ("act", {"action": "retry"}),
        ("resolve", {"version": 1, "found": "maybe"}),
        ("release", {"version": 1, "outcome": "failed"}),
        ("release", {"version": 1, "outcome": "failed", "note": ""}),
    ],
)
async def test_an_unreadable_decision_is_refused(renewal: Wired, how: str, body: dict[str, Any]) -> None:
    about, _ = await parked(renewal)
    reply = await decide(renewal, about, how, **body)
    assert (reply.status, reply.problem) == (422, "invalid-request")


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
    about, seen = await parked(renewal)
    path = f"/v1/renewals/{about.renewal_id}/operator/act"
    reply = await renewal.request("POST", path, {"action": "retry", "version": seen["version"]}, headers)
    assert (reply.status, reply.problem) == (status, problem)
    assert "make operator-token NAME=you" in reply.body["detail"]
    assert (await row(renewal, about.renewal_id))["version"] == seen["version"]


async def test_a_token_that_is_over_says_until_when_it_was_good(renewal: Wired) -> None:
    about, _ = await parked(renewal)
    over = sign(SECRET, "ana", "operator", utc_now() - timedelta(hours=2), timedelta(hours=1))
    path = f"/v1/renewals/{about.renewal_id}/operator/act"
    reply = await renewal.request("POST", path, {}, {"authorization": f"Bearer {over}"})
    assert (reply.status, reply.problem) == (401, "operator-token-refused")
    assert "was good until" in reply.body["detail"]
