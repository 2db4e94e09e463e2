"""Mutants of what stands at module level: every value of every table, and every cell of the matrix.

Values are doubled, halved and zeroed; entries take their neighbour's place or are missing. mutmut leaves
out all of this, and most of what this system decides stands in tables.
"""

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from tests.mutants.points import MODULE, Found, Plain, Point, named, removed, replaced, text

_NESTED: Final = (ast.Dict, ast.Call, ast.Tuple, ast.Set, ast.List)


def mutants(tree: ast.Module) -> list[Point]:
    """Every point of the module's tables and of its classes' defaults."""
    return named(_found(tree.body, ""))


def _found(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Found, range]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not _is_enumeration(node):
            yield from _found(node.body, f"{prefix}{node.name}.")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _defaults(node, f"{prefix}{node.name}")
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if ast.unparse(target) == "MATRIX" or not _is_table(node.value):
                continue
            for what, where, change in _of_value(node, "value", None, node.value):
                yield MODULE, (f"{prefix}{ast.unparse(target)}: {what}", where, change), range(0)


def _defaults(
    function: ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[tuple[str, Found, range]]:
    """What a function takes where it is told nothing: fixed when its module is imported."""
    for field in ("defaults", "kw_defaults"):
        for place, value in enumerate(getattr(function.args, field)):
            if value is not None and _is_table(value):
                for what, where, change in _of_value(function.args, field, place, value):
                    yield MODULE, (f"{name}({what})", where, change), range(0)


def _is_enumeration(node: ast.ClassDef) -> bool:
    """The values of an enumeration are names: what they are called decides nothing."""
    return any("Enum" in ast.unparse(base) for base in node.bases)


def _is_table(value: ast.expr) -> bool:
    """Whether it holds values. What names a type (Literal, a union, a TypeVar) does not, nor does None."""
    if isinstance(value, ast.Constant) and value.value is None:
        return False
    if isinstance(value, ast.Subscript | ast.BinOp) and not _has_numbers(value):
        return False
    return not (isinstance(value, ast.Call) and ast.unparse(value.func) in ("TypeVar", "attrgetter"))


def _has_numbers(value: ast.expr) -> bool:
    return any(
        isinstance(one, ast.Constant) and isinstance(one.value, int | float) for one in ast.walk(value)
    )


def _of_value(owner: ast.AST, field: str, place: int | None, node: ast.expr) -> Iterator[Found]:
    match node:
        case ast.Constant():
            for other in _other(node.value):
                yield replaced(owner, field, ast.Constant(other), place)
        case ast.Dict():
            yield from _of_rows(node)
        case ast.Tuple() | ast.Set() | ast.List():
            yield from _of_elements(node)
        case ast.Call():
            for keyword in node.keywords:
                yield from _within(keyword, _of_value(keyword, "value", None, keyword.value))
            for number, argument in enumerate(node.args):
                yield from _of_value(node, "args", number, argument)
        case ast.BinOp():
            yield from _of_value(node, "left", None, node.left)
            if not isinstance(node.left, ast.Constant):  # doubling either factor is the same
                yield from _of_value(node, "right", None, node.right)


def _within(keyword: ast.keyword, points: Iterator[Found]) -> Iterator[Found]:
    for what, where, change in points:
        yield f"{keyword.arg}: {what}", where, change


def _of_rows(table: ast.Dict) -> Iterator[Found]:
    """Each row: another row's value, no row, and the values in it."""
    for place, (key, value) in enumerate(zip(table.keys, table.values, strict=True)):
        row = "**" if key is None else text(key)
        other = _neighbour(table.values, place)
        points = [] if other is None else [replaced(table, "values", other, place)]
        for what, where, change in [*points, *_of_value(table, "values", place, value)]:
            yield f"[{row}] {what}", where, change

        def leave_out(place: int = place) -> None:
            table.keys.pop(place)
            table.values.pop(place)

        yield f"[{row}] -> nothing", value, leave_out


def _of_elements(node: ast.Tuple | ast.Set | ast.List) -> Iterator[Found]:
    """Each element: missing, or swapped with the next; numbers and tables in it."""
    for place, element in enumerate(node.elts):
        if isinstance(element, _NESTED):
            yield from _of_value(node, "elts", place, element)
        yield removed(node, "elts", place)
        if isinstance(node, ast.Tuple) and _differs_from_next(node.elts, place):

            def swap(place: int = place) -> None:
                node.elts[place : place + 2] = node.elts[place + 1], node.elts[place]

            yield f"{text(node)}: {place} and {place + 1} swapped", element, swap


def _differs_from_next(elements: list[ast.expr], place: int) -> bool:
    return place + 1 < len(elements) and ast.dump(elements[place]) != ast.dump(elements[place + 1])


def _neighbour(values: list[ast.expr], place: int) -> ast.expr | None:
    """The next value that is another one."""
    own = ast.dump(values[place])
    for step in range(1, len(values)):
        other = values[(place + step) % len(values)]
        if ast.dump(other) != own:
            return other
    return None


def _other(value: object) -> tuple[Plain, ...]:
    match value:
        case bool():
            return (not value,)
        case int() if value:
            return tuple(dict.fromkeys((value * 2, value // 2, 0)))
        case int():
            return (1,)
        case float() if value:
            return (value * 2, value / 2, 0.0)
        case float():
            return (1.0,)
        case str() if len(value.split()) < 3:
            return ("mutated",)
        case None:
            return (1,)
        case _:
            return ()


class Cell(NamedTuple):
    """One changed cell of the transition matrix: this message in this state does what `like` does."""

    message: str
    state: str
    like: str | None
    """The state of the same row whose cell it takes; None: it is ignored."""

    @property
    def name(self) -> str:
        does = "ignored" if self.like is None else f"as in {self.like}"
        return f"MATRIX: {self.message} while {self.state} -> {does}"


def cells(matrix: dict[str, dict[str, str | None]]) -> list[Cell]:
    """Every cell, ignored where it has a rule, and as its neighbour, the next different cell of its row.

    `matrix` names the rule of each cell by message and state; None where nothing happens.
    """
    found: list[Cell] = []
    for message, row in matrix.items():
        states = list(row)
        for place, state in enumerate(states):
            if row[state] is not None:
                found.append(Cell(message, state, None))
            others = [states[(place + step) % len(states)] for step in range(1, len(states))]
            like = next((other for other in others if row[other] not in (row[state], None)), None)
            if like is not None:
                found.append(Cell(message, state, like))
    return found
