"""Which test noticed each listed defect when all were shown to every layer: it is asked first the next time.

Where it notices again, nobody else is asked, which is most of what a run would take. Where it does not, the
defect is shown to all layers as if nothing were known. `--anew` asks all; `--keep` writes `noticed.toml`.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.mutants.defects import listed
from tests.mutants.layers import Name

if TYPE_CHECKING:
    from tests.mutants.listed import Tried

FILE: Final = Path(__file__).parent / "noticed.toml"


class Noticed(NamedTuple):
    """The dearest layer that caught it, which is the one that watches promises if any does, and its test."""

    layer: Name
    test: str


@cache
def noticed() -> Mapping[str, Noticed]:
    """By the defect's name."""
    if not FILE.exists():
        return {}
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {name: Noticed(table["layer"], table["test"]) for name, table in tables.items()}


def remember(tried: Sequence["Tried"]) -> None:
    """Write down who caught each of them, beside what is known of the others that are still listed."""
    asked = {one.defect.name for one in tried}
    known = {
        defect.name: noticed()[defect.name]
        for defect in listed()
        if defect.name in noticed() and defect.name not in asked
    }
    for one in tried:
        if one.caught_by and "::" in one.said[one.caught_by[-1]].test:
            layer = one.caught_by[-1]
            known[one.defect.name] = Noticed(layer, one.said[layer].test)
    lines = ["# Written by `make mutants MUTANTS=--keep`: who noticed which listed defect."]
    for name, (layer, test) in sorted(known.items()):
        lines += ["", f"[{name}]", f'layer = "{layer}"', f"test = {json.dumps(test, ensure_ascii=False)}"]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
