"""The operators' command line: everything it does, it does over the HTTP API, as whoever the token names.

RECARGA_OPERATOR_TOKEN holds the token (`make operator-token NAME=you`), RECARGA_RENEWAL_URL the address.
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from pydantic import SecretStr

from services.renewal.operators import tables
from services.renewal.operators.client import Api, Refused
from services.renewal.operators.domain.decision import Finding, Outcome
from services.renewal.operators.domain.proposal import ProposalState
from shared.clock import utc_now
from shared.operators.tokens import Role, sign

DEFAULT_URL: Final = "http://127.0.0.1:18001"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

RenewalId = Annotated[UUID, typer.Argument(help="As `search` shows it.", metavar="RENEWAL_ID")]
Version = Annotated[int, typer.Option(help="The renewal's version that was looked at: `show` tells it.")]
Why = Annotated[str, typer.Option(help="For the audit: what was looked at, why it is right.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="How many at most.")]
Brand = Annotated[str | None, typer.Option(help="Of the subscription.")]
Carrier = Annotated[str | None, typer.Option(help="Of the subscription.")]
Subscription = Annotated[str | None, typer.Option("--subscription", help="Its id.")]
Reason = Annotated[str | None, typer.Option(help="Why it is given up, or why it is parked.")]
# The service says which there are: typer knows no list of choices.
States = Annotated[list[str] | None, typer.Option("--state", help="May be given several times.")]
Case = Annotated[
    str | None,
    typer.Option(help="What a person has to look into: unresolved, refund_returned or promise_broken."),
]
OlderThan = Annotated[str | None, typer.Option(help="Asked for at least so long ago: 90s, 30m, 2h, 1d.")]


@app.callback()
def as_whom(
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="RECARGA_RENEWAL_URL", help="Of the renewal service.")
    ] = DEFAULT_URL,
    token: Annotated[
        str | None,
        typer.Option(envvar="RECARGA_OPERATOR_TOKEN", help="Says who you are.", show_default=False),
    ] = None,
) -> None:
    context.obj = Api(url, token)


@contextmanager
def refusals_in_one_line() -> Iterator[None]:
    """Whatever is refused ends the command with status 1 and one line that says why."""
    try:
        yield
    except Refused as refused:
        print(f"Error: {refused}", file=sys.stderr)  # noqa: T201 - one line as it is, however long
        raise typer.Exit(1) from None


def seconds(text: str | None) -> float | None:
    """A duration as people write it. Raises Refused."""
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is None:
        raise Refused(f"{text!r} is no duration: a number and s, m, h or d, such as 30m.")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]


@app.command()
def search(
    context: typer.Context,
    state: States = None,
    is_open: Annotated[bool | None, typer.Option("--open/--closed", help="Left out: both.")] = None,
    brand: Brand = None,
    carrier: Carrier = None,
    subscription: Subscription = None,
    reason: Reason = None,
    older_than: OlderThan = None,
    case: Case = None,
    limit: Limit = 50,
) -> None:
    """Find renewals; every filter that is given must hold."""
    with refusals_in_one_line():
        page = context.obj.get(
            "/v1/operator/renewals",
            state=state,
            open=None if is_open is None else str(is_open).lower(),
            brand=brand,
            carrier=carrier,
            subscription_id=subscription,
            reason=reason,
            older_than_seconds=seconds(older_than),
            case=case,
            limit=limit,
        )
    tables.renewals(page["items"], more=page["next_cursor"] is not None)


@app.command()
def show(context: typer.Context, renewal_id: RenewalId) -> None:
    """One renewal: what happened, what comes next and when, what is allowed now."""
    with refusals_in_one_line():
        told = context.obj.get(f"/v1/renewals/{renewal_id}/operator/timeline")
    tables.timeline(told)


@app.command()
def explain(context: typer.Context, subscription_id: str) -> None:
    """Why a subscription renewed, or did not."""
    with refusals_in_one_line():
        told = context.obj.get(f"/v1/operator/subscriptions/{subscription_id}")
    tables.subscription(told)


@app.command()
def retry(context: typer.Context, renewal_id: RenewalId, version: Version, why: Why) -> None:
    """Say the step's command again, now."""
    _act(context, renewal_id, "retry", version, why)


@app.command()
def cancel(context: typer.Context, renewal_id: RenewalId, version: Version, why: Why) -> None:
    """Give up while no money was taken; afterwards it takes two, with `refund`."""
    _act(context, renewal_id, "cancel", version, why)


def _act(context: typer.Context, renewal_id: UUID, action: str, version: int, why: str) -> None:
    with refusals_in_one_line():
        told = context.obj.post(
            f"/v1/renewals/{renewal_id}/operator/act", action=action, version=version, why=why
        )
    _became(told)


def _became(renewal: dict[str, Any]) -> None:
    told = f"Renewal {renewal['renewal_id']} is {renewal['state']} in version {renewal['version']} now."
    tables.console().print(told)


@app.command()
def refund(context: typer.Context, renewal_id: RenewalId, version: Version, why: Why) -> None:
    """Propose to give the money back, once nothing can be applied; somebody else approves it."""
    _propose(context, renewal_id, "refund", version=version, why=why)


@app.command()
def resolve(
    context: typer.Context, renewal_id: RenewalId, found: Finding, version: Version, why: Why
) -> None:
    """Propose what an unknown outcome was; somebody else approves it."""
    _propose(context, renewal_id, "resolve", found=found, version=version, why=why)


@app.command()
def release(
    context: typer.Context, renewal_id: RenewalId, outcome: Outcome, version: Version, why: Why
) -> None:
    """Propose to close a parked renewal as decided; somebody else approves it."""
    _propose(context, renewal_id, "release", outcome=outcome, version=version, why=why)


def _propose(context: typer.Context, renewal_id: UUID, how: str, **body: object) -> None:
    with refusals_in_one_line():
        proposal = context.obj.post(f"/v1/renewals/{renewal_id}/operator/{how}", **body)
    tables.proposals([proposal])
    tables.console().print(
        f"\nSomebody else decides, until {tables.when(proposal['expires_at'])}, "
        f"with: approve {proposal['proposal_id']}"
    )


@app.command()
def proposals(
    context: typer.Context,
    state: Annotated[ProposalState, typer.Option(help="How they stand.")] = "open",
    limit: Limit = 50,
) -> None:
    """What was proposed; what is open waits for a second person."""
    with refusals_in_one_line():
        page = context.obj.get("/v1/operator/proposals", state=state, limit=limit)
    tables.proposals(page["items"])


@app.command()
def approve(context: typer.Context, proposal_id: UUID, why: Why) -> None:
    """Carry out what somebody else proposed, if the renewal is still as they saw it."""
    with refusals_in_one_line():
        told = context.obj.post(f"/v1/operator/proposals/{proposal_id}/approve", why=why)
    _became(told)


@app.command()
def reject(context: typer.Context, proposal_id: UUID, why: Why) -> None:
    """Be against a proposal, or take back one's own."""
    with refusals_in_one_line():
        told = context.obj.post(f"/v1/operator/proposals/{proposal_id}/reject", why=why)
    tables.proposals([told])


@app.command()
def audit(
    context: typer.Context,
    renewal: Annotated[UUID | None, typer.Option(help="About this one.")] = None,
    job: Annotated[UUID | None, typer.Option(help="In this bulk job.")] = None,
    operator: Annotated[str | None, typer.Option(help="By this operator.")] = None,
    limit: Limit = 50,
) -> None:
    """Who did what and why, newest first."""
    with refusals_in_one_line():
        page = context.obj.get(
            "/v1/operator/audit",
            renewal_id=renewal and str(renewal),
            job_id=job and str(job),
            operator=operator,
            limit=limit,
        )
    tables.audit(page["items"], more=page["next_cursor"] is not None)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Who it is for: small letters, digits and ._-")],
    role: Annotated[Role, typer.Option(help="What it is good for: a viewer only looks.")] = "operator",
    hours: Annotated[float, typer.Option(min=0.01, max=168, help="How long it is good for.")] = 12,
) -> None:
    """Print a token, where RECARGA_OPERATOR_SECRET_FILE names the secret: on the service's own machine."""
    with refusals_in_one_line():
        file = os.environ.get("RECARGA_OPERATOR_SECRET_FILE")
        if not file:
            raise Refused("RECARGA_OPERATOR_SECRET_FILE names no secret to sign with.")
        try:
            secret = SecretStr(Path(file).read_text(encoding="utf-8").strip())
            signed = sign(secret, name, role, utc_now(), timedelta(hours=hours))
        except (OSError, ValueError) as error:
            raise Refused(str(error)) from None
    typer.echo(signed)
