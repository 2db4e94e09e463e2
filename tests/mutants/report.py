"""What `make mutants` prints: which layer caught which defect, and the score of the generated mutants."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.mutants.layers import LAYERS
from tests.mutants.listed import Tried

LEAST_KILLED: Final = 0.9


def show_listed(console: Console, tried: Sequence[Tried]) -> bool:
    """The table of the listed defects; whether every one was caught."""
    table = Table("defect", "promise", "caught by", "not by", title="Listed defects", pad_edge=False)
    for one in tried:
        passed = (layer for layer in one.said if layer not in one.caught_by)
        table.add_row(one.defect.name, str(one.defect.promise), ", ".join(one.caught_by), ", ".join(passed))
    console.print(table)
    alive = [one for one in tried if not one.caught_by]
    _show_by_layer(console, tried)
    for one in alive:
        why = one.trouble or one.defect.breaks
        console.print(f"survives: {one.defect.name} ({one.defect.file}): {why}", soft_wrap=True, markup=False)
    console.print(f"{len(tried) - len(alive)} of {len(tried)} listed defects were caught")
    return not alive


def _show_by_layer(console: Console, tried: Sequence[Tried]) -> None:
    asked = Counter(layer for one in tried for layer in one.said)
    caught = Counter(layer for one in tried for layer in one.caught_by)
    parts = [f"{each.name} {caught[each.name]} of {asked[each.name]}" for each in LAYERS if asked[each.name]]
    console.print(f"caught, of those shown to it: {', '.join(parts)}")


def show_generated(console: Console, killed: Mapping[str, str], explained: Mapping[str, str]) -> bool:
    """The score by module and layer; whether it is high enough and every survivor is explained."""
    layers = sorted({_layer(test) for test in killed.values() if test})
    table = Table(title="Generated mutants", pad_edge=False)
    table.add_column("module", overflow="fold")
    for heading in ("mutants", *layers, "explained", "unexplained", "killed"):
        table.add_column(heading, justify="right")
    files = sorted({key.split(" ")[0] for key in killed})
    for file in [*files, ""]:
        of_file = {key: test for key, test in killed.items() if key.startswith(file)}
        table.add_row(file or "all", *_figures(of_file, layers, explained), end_section=file == files[-1])
    console.print(table)
    alive = [key for key, test in killed.items() if not test and key not in explained]
    for key in alive:
        console.print(f"survives unexplained: {key}", soft_wrap=True, markup=False)
    for key in explained:
        if killed.get(key):
            console.print(f"explained, but caught by {killed[key]}: {key}", soft_wrap=True, markup=False)
        elif key not in killed:
            console.print(f"explained, but no mutant any more: {key}", soft_wrap=True, markup=False)
    score = sum(map(bool, killed.values())) / max(1, len(killed))
    return not alive and score >= LEAST_KILLED


def _layer(test: str) -> str:
    parts = test.split("/")
    return parts[1] if len(parts) > 1 else "unit"


def _figures(killed: Mapping[str, str], layers: Sequence[str], explained: Mapping[str, str]) -> list[str]:
    by_layer = Counter(_layer(test) for test in killed.values() if test)
    known = sum(not test and key in explained for key, test in killed.items())
    dead = sum(by_layer.values())
    figures = [len(killed), *(by_layer[layer] for layer in layers), known, len(killed) - dead - known]
    return [*map(str, figures), f"{dead / max(1, len(killed)):.1%}"]
