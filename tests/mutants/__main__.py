"""`make mutants`: puts deliberate defects into private copies of the tree and sees which tests notice.

First the listed ones, then the generated ones. Ends with an error where a listed defect was not caught, where
a generated one survives unexplained, or where fewer than 90 % of the generated ones were caught.
"""

import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tests.mutants import generated, listed, report
from tests.mutants.defects import listed as defects
from tests.mutants.layers import LAYERS, Name
from tests.mutants.listed import Tried
from tests.mutants.noticed import noticed, remember
from tests.mutants.survivors import explained

console = Console(highlight=False)


def main(
    only: Annotated[str, typer.Option(help="defects and mutants whose name contains this")] = "",
    parts: Annotated[str, typer.Option(help="listed, generated")] = "listed,generated",
    layers: Annotated[str, typer.Option(help="of the listed defects")] = "",
    services: Annotated[str, typer.Option(help="of the generated mutants")] = ",".join(generated.SERVICES),
    at_once: Annotated[int, typer.Option(help="so many at a time")] = 2,
    dearer: Annotated[
        bool, typer.Option(help="show survivors of the unit tests to the pure layers too")
    ] = True,
    anew: Annotated[bool, typer.Option(help="ask every layer, not first who noticed before")] = False,
    keep: Annotated[bool, typer.Option(help="write down in noticed.toml who noticed now")] = False,
) -> None:
    """Try the mutants; exit 0 only if the tests notice what they should."""
    began = time.monotonic()
    good = True
    if "listed" in parts:
        names: list[Name] = [layer.name for layer in LAYERS if not layers or layer.name in layers.split(",")]
        chosen = [defect for defect in defects() if only in defect.name]
        tried = listed.try_all(chosen, names, at_once, _tell, {} if anew else noticed())
        if keep:
            remember(tried)
        good = report.show_listed(console, tried)
    if "generated" in parts:
        wanted = services.split(",")
        killed = generated.try_all(wanted, only, at_once, dearer, lambda one: console.print(f"tried {one}"))
        known = {key: why for key, why in explained().items() if key.split("/")[1] in wanted and only in key}
        good = report.show_generated(console, killed, known) and good
    console.print(f"took {(time.monotonic() - began) / 60:.1f} minutes")
    sys.exit(0 if good else 1)


def _tell(tried: Tried) -> None:
    caught = ", ".join(tried.caught_by) or f"[red]nobody[/red] {tried.trouble}"
    noticed = [said for said in tried.said.values() if said.test]
    why = escape(f" ({noticed[-1].test.rpartition('/')[2]}: {noticed[-1].why[:160]})") if noticed else ""
    console.print(f"{tried.defect.name}: {caught}{why}", soft_wrap=True)


if __name__ == "__main__":
    typer.run(main)
