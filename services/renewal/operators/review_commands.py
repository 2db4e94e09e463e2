"""The command line of reviews: what is to be decided about ways to pay; approve one, or refuse it."""

from typing import Annotated
from uuid import UUID

import typer

from services.renewal.operators import tables
from services.renewal.operators.cli import Limit, Why, refusals_in_one_line

reviews = typer.Typer(no_args_is_help=True, help="Decide whether a renewal may be paid as it was asked for.")

_PATH = "/v1/operator/reviews"

RenewalId = Annotated[UUID, typer.Argument(help="As `reviews show` shows it.", metavar="RENEWAL_ID")]
Version = Annotated[
    int, typer.Option(help="The review's version that was looked at: `reviews show` tells it.")
]


@reviews.command("show")
def show_reviews(context: typer.Context, limit: Limit = 50) -> None:
    """What waits for a decision, the oldest first, and until when."""
    with refusals_in_one_line():
        page = context.obj.get(_PATH, limit=limit)
    tables.reviews(page["items"], more=page["next_cursor"] is not None)


@reviews.command("approve")
def approve_review(context: typer.Context, renewal_id: RenewalId, version: Version, why: Why) -> None:
    """Accept it for this renewal, which is admitted anew: everything else is checked now."""
    _decide(context, renewal_id, "approve", version, why)


@reviews.command("refuse")
def refuse_review(context: typer.Context, renewal_id: RenewalId, version: Version, why: Why) -> None:
    """It is not accepted; whoever asked is told."""
    _decide(context, renewal_id, "refuse", version, why)


def _decide(context: typer.Context, renewal_id: UUID, how: str, version: int, why: str) -> None:
    with refusals_in_one_line():
        told = context.obj.post(f"{_PATH}/{renewal_id}/{how}", version=version, why=why)
    reason = f": {told['reason']}" if told["reason"] else ""
    tables.console().print(f"The review of {renewal_id} is {told['state']}{reason}.", markup=False)
