"""The command line of bulk jobs: make a dry-run, start it, follow it, stop it."""

import time
from typing import Annotated, Final
from uuid import UUID

import typer

from services.renewal.operators import tables
from services.renewal.operators.cli import (
    Brand,
    Carrier,
    Case,
    Limit,
    OlderThan,
    Reason,
    States,
    Subscription,
    Why,
    refusals_in_one_line,
    seconds,
)
from services.renewal.operators.domain.decision import ActionName

LOOK_EVERY_SECONDS: Final = 1.0

bulk = typer.Typer(no_args_is_help=True, help="One action on many renewals.")

JobId = Annotated[UUID, typer.Argument(metavar="JOB_ID")]


@bulk.command()
def make(
    context: typer.Context,
    action: ActionName,
    why: Why,
    choice: Annotated[str | None, typer.Option(help="What `resolve` found, how `release` ends.")] = None,
    state: States = None,
    brand: Brand = None,
    carrier: Carrier = None,
    subscription: Subscription = None,
    reason: Reason = None,
    older_than: OlderThan = None,
    case: Case = None,
    per_second: Annotated[float, typer.Option(help="Renewals acted upon, once it is started.")] = 5.0,
) -> None:
    """A dry-run: count and sample of the open renewals that match, with --case of closed ones, too.

    Nothing is done to them.
    """
    with refusals_in_one_line():
        wanted = {
            "state": state or None,
            "brand": brand,
            "carrier": carrier,
            "subscription_id": subscription,
            "reason": reason,
            "older_than_seconds": seconds(older_than),
            "case": case,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        job = context.obj.post(
            "/v1/operator/jobs", action=action, choice=choice, filter=given, per_second=per_second, why=why
        )
    tables.jobs([job])
    tables.sample(job)
    who = "Somebody else starts it" if job["needs_second"] else "Start it"
    until = tables.when(job["expires_at"])
    tables.console().print(f"\n{who} until {until}: bulk start {job['job_id']} --renewals {job['renewals']}")


@bulk.command()
def start(
    context: typer.Context,
    job_id: JobId,
    renewals: Annotated[int, typer.Option(help="How many the dry-run showed.")],
    why: Why,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = False,
) -> None:
    """Do it, to the renewals that are still as the dry-run saw them."""
    with refusals_in_one_line():
        job = context.obj.post(f"/v1/operator/jobs/{job_id}/start", renewals=renewals, why=why)
    tables.jobs([job])
    if watch:
        _follow(context, job_id)


@bulk.command("show")
def show_job(
    context: typer.Context,
    job_id: JobId,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = False,
) -> None:
    """How far it is."""
    with refusals_in_one_line():
        job = context.obj.get(f"/v1/operator/jobs/{job_id}")
    tables.jobs([job])
    tables.sample(job)
    if watch:
        _follow(context, job_id)


def _follow(context: typer.Context, job_id: UUID) -> None:
    """A line whenever it got further."""
    seen = None
    while True:
        with refusals_in_one_line():
            job = context.obj.get(f"/v1/operator/jobs/{job_id}")
        told = (job["state"], job["left"])
        if told != seen:
            done = f"{job['done']} done, {job['moved']} moved, {job['refused']} refused"
            tables.console().print(f"{job['state']}: {done}, {job['left']} of {job['renewals']} left")
        if job["state"] != "running":
            return
        seen = told
        time.sleep(LOOK_EVERY_SECONDS)


@bulk.command("list")
def list_jobs(context: typer.Context, limit: Limit = 20) -> None:
    """The latest jobs."""
    with refusals_in_one_line():
        page = context.obj.get("/v1/operator/jobs", limit=limit)
    tables.jobs(page["items"])


@bulk.command()
def stop(context: typer.Context, job_id: JobId, why: Why) -> None:
    """End it where it is, for good."""
    with refusals_in_one_line():
        job = context.obj.post(f"/v1/operator/jobs/{job_id}/stop", why=why)
    tables.jobs([job])
