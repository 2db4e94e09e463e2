"""What the generators make of a small module, and how a mutant gets into a process."""

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.mutants import functions, tables
from tests.mutants.mutant import UNCHANGED, Mutant, MutatedImport, generated, swap
from tests.mutants.points import Point, located

SOURCE = dedent('''
    """A till."""

    from dataclasses import dataclass

    PRICES: dict[str, int] = {"tea": 200, "cake": 350}
    OPEN_DAYS = ("sat", "sun")


    @dataclass
    class Till:
        """Takes money."""

        cash_minor: int = 1000

        def change(self, paid: int, price: int) -> int | None:
            """What goes back."""
            if paid < price or not self.cash_minor:
                return None
            self.cash_minor += price
            return paid - price


    def cheapest(*names: str, most: int = 300) -> int:
        return min(PRICES[name] for name in names if PRICES[name] <= most)
''')
Generator = Callable[[ast.Module], list[Point]]


def changes(generator: Generator) -> dict[str, str]:
    """By name, the whole source with that one point changed."""
    made = {}
    for number, point in enumerate(generator(ast.parse(SOURCE))):
        tree = ast.parse(SOURCE)
        generator(tree)[number].change()
        made[point.name] = ast.unparse(located(tree))
    return made


@pytest.mark.parametrize("generator", [functions.mutants, tables.mutants])
def test_every_mutant_has_a_name_of_its_own_and_is_another_program(generator: Generator) -> None:
    made = changes(generator)
    assert len(made) == len(generator(ast.parse(SOURCE)))
    original = ast.unparse(ast.parse(SOURCE))
    assert original not in made.values()
    assert len(set(made.values())) == len(made)
    for source in made.values():
        compile(source, "a mutant", "exec")


def test_functions_are_changed_where_it_matters() -> None:
    made = set(changes(functions.mutants))
    assert {
        "Till.change: paid < price -> paid <= price",
        "Till.change: paid < price -> paid >= price",
        "Till.change: paid < price or not self.cash_minor -> paid < price and (not self.cash_minor)",
        "Till.change: not self.cash_minor -> self.cash_minor",
        "Till.change: self.cash_minor += price -> pass",
        "Till.change: paid - price -> paid + price",
        "Till.change: paid - price -> None",
        "cheapest: min -> max",
        "cheapest: PRICES[name] <= most -> PRICES[name] < most",
    } <= made


def test_tables_are_changed_value_by_value() -> None:
    made = set(changes(tables.mutants))
    assert {
        "module: PRICES: ['tea'] 200 -> 350",
        "module: PRICES: ['tea'] 200 -> 400",
        "module: PRICES: ['tea'] 200 -> 100",
        "module: PRICES: ['tea'] 200 -> 0",
        "module: PRICES: ['cake'] -> nothing",
        "module: OPEN_DAYS: 'sat' -> nothing",
        "module: OPEN_DAYS: ('sat', 'sun'): 0 and 1 swapped",
        "module: Till.cash_minor: 1000 -> 2000",
        "module: cheapest(300 -> 150)",
    } <= made


def test_every_cell_of_a_matrix_is_ignored_and_becomes_its_neighbour() -> None:
    row: dict[str, str | None] = {"open": "take", "shut": None, "gone": "mourn"}
    assert [(cell.state, cell.like) for cell in tables.cells({"Knock": row})] == [
        ("open", None),
        ("open", "gone"),
        ("shut", "gone"),
        ("gone", None),
        ("gone", "open"),
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The small module, where it can be imported."""
    (tmp_path / "till.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield tmp_path
    sys.meta_path[:] = finders
    sys.modules.pop("till", None)


def mutant(folder: Path, name: str) -> Mutant:
    return next(one for one in generated(["till.py"], folder) if one.name == name)


def test_a_functions_mutant_reaches_whoever_has_imported_it(folder: Path) -> None:
    till: Any = importlib.import_module("till")
    drawer, cheapest = till.Till(), till.cheapest
    assert swap(mutant(folder, "cheapest: min -> max"), folder)
    assert swap(mutant(folder, "Till.change: paid - price -> paid + price"), folder)
    assert cheapest("tea", "cake", most=400) == 350
    assert drawer.change(500, 200) == 700


def test_a_tables_mutant_is_there_when_its_module_is_imported(folder: Path) -> None:
    sys.meta_path.insert(0, MutatedImport(mutant(folder, "module: PRICES: ['tea'] 200 -> 400"), folder))
    till: Any = importlib.import_module("till")
    assert till.PRICES == {"tea": 400, "cake": 350}


def test_a_mutant_that_changes_nothing_goes_the_same_way(folder: Path) -> None:
    sys.meta_path.insert(0, MutatedImport(Mutant("table", "till.py", UNCHANGED, "unchanged"), folder))
    till: Any = importlib.import_module("till")
    assert till.PRICES == {"tea": 200, "cake": 350}
