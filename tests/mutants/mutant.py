"""One generated mutant, and how it is put into a process that has or has not imported its module yet."""

import ast
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import _lru_cache_wrapper, cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Final, Literal, NamedTuple, cast

from tests.mutants import functions, tables
from tests.mutants.points import MODULE, Point, located

Kind = Literal["function", "table", "cell"]
GENERATORS: Final[dict[str, Callable[[ast.Module], list[Point]]]] = {
    "function": functions.mutants,
    "table": tables.mutants,
}


UNCHANGED: Final = -1
"""The number of a mutant that is none: every test must pass with it."""


class Mutant(NamedTuple):
    """`file` is relative to the tree, `number` counts the points of that kind in the file."""

    kind: Kind
    file: str
    number: int
    name: str
    function: str = MODULE
    first_line: int = 0
    last_line: int = 0

    @property
    def key(self) -> str:
        """What the list of survivors calls it."""
        return f"{self.file} {self.name}"


def generated(files: Sequence[str], tree: Path) -> Iterator[Mutant]:
    """Every mutant of these files but the matrix's cells."""
    for file in files:
        for kind, points in GENERATORS.items():
            for number, point in enumerate(points(_parsed(file, tree))):
                first = point.lines.start if point.lines else 0
                last = point.lines.stop - 1 if point.lines else 0
                yield Mutant(cast(Kind, kind), file, number, point.name, point.function, first, last)


def _parsed(file: str, tree: Path) -> ast.Module:
    return ast.parse((tree / file).read_text(encoding="utf-8"))


def compiled(mutant: Mutant, tree: Path) -> CodeType:
    """The code of the whole module with the mutant in it."""
    parsed = _parsed(mutant.file, tree)
    if mutant.number != UNCHANGED:
        GENERATORS[mutant.kind](parsed)[mutant.number].change()
    return compile(located(parsed), str(tree / mutant.file), "exec")


def module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def swap(mutant: Mutant, tree: Path) -> bool:
    """Put a function's mutant into its module, which is imported: whoever holds the function, gets it.

    False where the function is not reached so; then the module has to be imported anew.
    """
    target: object = sys.modules[module_name(mutant.file)]
    for name in mutant.function.split("."):
        target = _attribute(target, name)
    function = _plain(target)
    code = _inside(compiled(mutant, tree), mutant.function.split("."))
    if function is None or code is None or code.co_freevars != function.__code__.co_freevars:
        return False
    function.__code__ = code
    if isinstance(target, _lru_cache_wrapper):
        target.cache_clear()  # what it knows was found out without the mutant
    return True


def _attribute(owner: object, name: str) -> object:
    return vars(owner).get(name)


def _plain(target: object) -> FunctionType | None:
    """The function behind a property, a static or class method, or a cache."""
    target = getattr(target, "fget", None) or getattr(target, "__func__", None) or target
    target = getattr(target, "__wrapped__", target)
    return target if isinstance(target, FunctionType) else None


def _inside(code: CodeType, path: list[str]) -> CodeType | None:
    for name in path:
        inner = [one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == name]
        if not inner:
            return None
        code = inner[-1]
    return code


class MutatedImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant's module with the mutant in it. Nothing may have imported it before."""

    def __init__(self, mutant: Mutant, tree: Path) -> None:
        self._name = module_name(mutant.file)
        self._path = tree / mutant.file
        self._code = compiled(mutant, tree)
        assert self._name not in sys.modules, f"{self._name} was imported before its mutant"

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Only that one module."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutated code instead of the file's."""
        exec(self._code, module.__dict__)  # noqa: S102 # to run changed code is what mutation is


@cache
def matrix() -> dict[str, dict[str, str | None]]:
    """The rule of each cell of the transition matrix by name; None where it is ignored."""
    from services.renewal.domain.change import Ignored
    from services.renewal.domain.saga import MATRIX

    return {
        message.__name__: {
            str(state): None if isinstance(cell, Ignored) else f"{cell.__module__}.{cell.__name__}"
            for state, cell in row.items()
        }
        for message, row in MATRIX.items()
    }


def cells() -> Iterator[Mutant]:
    """Every mutant of the transition matrix, which must be imported."""
    for number, cell in enumerate(tables.cells(matrix())):
        yield Mutant("cell", "services/renewal/domain/saga.py", number, cell.name)


def change_cell(mutant: Mutant) -> None:
    """Put a cell's mutant into the matrix of this process."""
    from services.renewal.domain.change import ignored
    from services.renewal.domain.saga import MATRIX

    cell = tables.cells(matrix())[mutant.number]
    row = next(row for message, row in MATRIX.items() if message.__name__ == cell.message)
    states = {str(state): state for state in row}
    does = ignored("a mutant of this cell") if cell.like is None else row[states[cell.like]]
    row[states[cell.state]] = does
