"""The command line of the switch: stop what rules charge, resume it, see what is stopped."""

from typing import Annotated

import typer

from services.renewal.operators import tables
from services.renewal.operators.cli import Why, refusals_in_one_line
from services.renewal.operators.client import Refused

charges = typer.Typer(no_args_is_help=True, help="Stop automatic charges, and resume them.")

_PATH = "/v1/operator/charge-stops"

Everywhere = Annotated[bool, typer.Option("--everywhere", help="All brands and carriers.")]
OfBrand = Annotated[str | None, typer.Option("--brand", help="One brand.")]
OfSubscription = Annotated[str | None, typer.Option("--subscription", help="One subscription.")]
OfCarrier = Annotated[str | None, typer.Option("--carrier", help="One carrier.")]


@charges.command("show")
def show_stops(context: typer.Context) -> None:
    """What is stopped now, by whom, why, and how many triggers wait."""
    with refusals_in_one_line():
        told = context.obj.get(_PATH)
    tables.stops(told)


@charges.command("stop")
def stop_charges(
    context: typer.Context,
    why: Why,
    everywhere: Everywhere = False,
    brand: OfBrand = None,
    carrier: OfCarrier = None,
    subscription: OfSubscription = None,
) -> None:
    """Begin no renewal that a rule asks for; what people ask for, and what is in flight, goes on."""
    _switch(context, _PATH, why, everywhere, brand=brand, carrier=carrier, subscription=subscription)


@charges.command("resume")
def resume_charges(
    context: typer.Context,
    why: Why,
    everywhere: Everywhere = False,
    brand: OfBrand = None,
    carrier: OfCarrier = None,
    subscription: OfSubscription = None,
) -> None:
    """Listen to rules again; what was kept meanwhile is looked at again."""
    _switch(
        context, f"{_PATH}/resume", why, everywhere, brand=brand, carrier=carrier, subscription=subscription
    )


def _switch(context: typer.Context, path: str, why: str, everywhere: bool, **named: str | None) -> None:
    with refusals_in_one_line():
        given = {kind: name for kind, name in named.items() if name is not None}
        if everywhere + len(given) != 1:
            raise Refused("Say where: one of --everywhere, --brand, --carrier and --subscription NAME.")
        kind, name = next(iter(given.items()), ("everywhere", None))
        told = context.obj.post(path, kind=kind, name=name, why=why)
    tables.stops(told)
