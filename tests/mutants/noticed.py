"""Which test noticed each listed defect when all were shown to every layer: it is asked first the next time.

Where it notices again, nobody else is asked: a run takes minutes instead of hours. Where it does not, the
defect is shown to all layers as if nothing were known. `--anew` asks all, and writes `noticed.toml` again.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

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
    """Write down who caught each of them; of those that nobody caught nothing is known any more."""
    lines = ["# Written by `make mutants MUTANTS=--anew`: who noticed which listed defect."]
    for one in sorted(tried, key=lambda one: one.defect.name):
        if one.caught_by and "::" in one.said[one.caught_by[-1]].test:
            layer = one.caught_by[-1]
            test = json.dumps(one.said[layer].test, ensure_ascii=False)
            lines += ["", f"[{one.defect.name}]", f'layer = "{layer}"', f"test = {test}"]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
