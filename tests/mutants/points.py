"""Where a module can be mutated, and how: each `Point` changes one place of a syntax tree.

The points of a file are found in the same order each time, so a process that forked, or another one, finds
the same mutant by its number. A name says what becomes what and survives edits elsewhere in the file.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

MODULE: Final = "module"
"""Where a point stands that is no function's: the module has to be imported anew to see it."""
_LONGEST: Final = 120


class Point(NamedTuple):
    """One change to one place. `function` is its qualified name, or MODULE; `lines` are those to be run."""

    name: str
    function: str
    lines: range
    change: Callable[[], None]


Plain = str | bool | int | float
Found = tuple[str, ast.AST, Callable[[], None]]
"""What becomes what, where, and how."""


def replaced(owner: ast.AST, field: str, new: ast.expr | ast.stmt, place: int | None = None) -> Found:
    """The point that puts `new` in the place of a child of `owner`."""
    if place is None:
        old = getattr(owner, field)
        return told(old, new), old, lambda: setattr(owner, field, new)
    children = getattr(owner, field)
    return told(children[place], new), children[place], lambda: children.__setitem__(place, new)


def removed(owner: ast.AST, field: str, place: int) -> Found:
    """The point that takes a child out of a list of `owner`."""
    children = getattr(owner, field)
    return f"{text(children[place])} -> nothing", children[place], lambda: children.pop(place)


def told(old: ast.AST, new: ast.AST) -> str:
    return f"{text(old)} -> {text(new)}"


def text(node: ast.AST) -> str:
    """The source of a node, in one line."""
    said = " ".join(ast.unparse(node).split())
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."


def named(found: Iterator[tuple[str, Found, range]]) -> list[Point]:
    """The points with names of their own: the second of the same name in a function is `(2)`."""
    seen: Counter[str] = Counter()
    points = []
    for function, (change, _, apply), lines in found:
        name = f"{function}: {change}"
        seen[name] += 1
        times = f" ({seen[name]})" if seen[name] > 1 else ""
        points.append(Point(name + times, function, lines, apply))
    return points


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:]
    return body


def located(tree: ast.Module) -> ast.Module:
    """The tree with a line for every node that a change has put in."""
    return ast.fix_missing_locations(tree)
