"""Mutants of what functions do: comparisons, conditions, constants, statements, arguments, answers."""

import ast
from collections.abc import Iterator
from typing import Final

from tests.mutants.points import Found, Plain, Point, named, removed, replaced, told, without_docstring

_COMPARED: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COUNTED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.BitOr: ast.BitAnd,
}
_OPPOSITES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def mutants(tree: ast.Module) -> list[Point]:
    """Every point inside a function of the module. Nested functions belong to the outer one."""
    return named(_found(tree.body, ""))


def _found(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Found, range]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _found(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, _Function) and not _is_overload(node):
            for found, statement in _of_function(node):
                yield f"{prefix}{node.name}", found, _lines(statement)


def _is_overload(function: _Function) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "overload" for one in function.decorator_list)


def _lines(statement: ast.AST) -> range:
    """The lines of a statement; of one with a body, those before it."""
    first: int = statement.lineno  # type: ignore[attr-defined] # statements and cases have one
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    if body:
        inner = body[0].pattern.lineno if isinstance(body[0], ast.match_case) else body[0].lineno
        return range(first, max(first + 1, inner))
    return range(first, (statement.end_lineno or first) + 1)  # type: ignore[attr-defined]


def _of_function(function: _Function) -> Iterator[tuple[Found, ast.AST]]:
    known = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
    yield from _of_body(function, "body", known)


def _of_body(owner: ast.AST, field: str, known: set[str]) -> Iterator[tuple[Found, ast.AST]]:
    body: list[ast.stmt] = getattr(owner, field)
    counted = without_docstring(body)
    for place, statement in enumerate(body):
        if statement not in counted:
            continue
        for found in _of_statement(body, owner, field, place, known):
            yield found, statement
        if isinstance(statement, _Function):
            yield from _of_function(statement)
            continue
        for part, value in ast.iter_fields(statement):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield from _of_body(statement, part, known)
            else:
                for found in _of_field(statement, part, value):
                    yield found, statement
        if isinstance(statement, ast.Match):
            for case_place, case in enumerate(statement.cases):
                if len(statement.cases) > 1:
                    yield removed(statement, "cases", case_place), case.body[0]
                if case.guard is not None:
                    for found in _of_condition(case, "guard"):
                        yield found, statement
                yield from _of_body(case, "body", known)
        known |= {one.id for one in ast.walk(statement) if isinstance(one, ast.Name) and _is_bound(one)}


def _is_bound(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _of_statement(
    body: list[ast.stmt], owner: ast.AST, field: str, place: int, known: set[str]
) -> Iterator[Found]:
    """A statement that is left out, an answer that is None."""
    statement = body[place]
    if isinstance(statement, ast.Return) and statement.value is not None and not _is_none(statement.value):
        yield replaced(statement, "value", ast.Constant(None))
    if isinstance(statement, ast.Return) and statement.value is None:
        yield replaced(owner, field, ast.Pass(), place)
    if _can_be_left_out(statement, known):
        yield replaced(owner, field, ast.Pass(), place)


def _can_be_left_out(statement: ast.stmt, known: set[str]) -> bool:
    """Where the rest of the function can still be run: what it binds was bound before."""
    if isinstance(statement, ast.Assign):
        return all(not isinstance(one, ast.Name) or one.id in known for one in statement.targets)
    left_out = (ast.Expr, ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)
    return isinstance(statement, left_out)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _of_field(owner: ast.AST, field: str, value: object) -> Iterator[Found]:
    """The expressions in one field of a node. What is raised, and how a type is called, says nothing."""
    if field in ("annotation", "returns", "decorator_list", "type_params", "exc", "msg", "cases", "type"):
        return
    if isinstance(value, ast.expr):
        if field == "test":
            yield from _of_condition(owner, field)
        else:
            yield from _of_expression(owner, field, None, value)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            if isinstance(child, ast.expr):
                if field == "ifs":
                    yield from _of_condition(owner, field, place)
                else:
                    yield from _of_expression(owner, field, place, child)
            elif isinstance(child, ast.keyword | ast.comprehension | ast.withitem | ast.ExceptHandler):
                yield from _of_children(child)


def _of_condition(owner: ast.AST, field: str, place: int | None = None) -> Iterator[Found]:
    """A condition: turned round as a whole, where turning its parts round is not the same."""
    held = getattr(owner, field)
    test: ast.expr = held if place is None else held[place]
    if not isinstance(test, ast.Compare) or len(test.ops) > 1:
        turned = test.operand if isinstance(test, ast.UnaryOp) else ast.UnaryOp(ast.Not(), test)
        yield replaced(owner, field, turned, place)
    if isinstance(test, ast.UnaryOp):
        yield from _of_children(test)
    else:
        yield from _of_expression(owner, field, place, test)


def _of_expression(owner: ast.AST, field: str, place: int | None, node: ast.expr) -> Iterator[Found]:
    match node:
        case ast.JoinedStr() | ast.Name():
            return
        case ast.Compare():
            yield from _of_comparison(node)
        case ast.BoolOp():
            other: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield replaced(owner, field, ast.BoolOp(other, node.values), place)
        case ast.UnaryOp():
            yield replaced(owner, field, node.operand, place)
        case ast.BinOp() if type(node.op) in _COUNTED:
            counted = ast.BinOp(node.left, _COUNTED[type(node.op)](), node.right)
            yield replaced(owner, field, counted, place)
        case ast.Constant():
            for other_value in _other(node.value):
                yield replaced(owner, field, ast.Constant(other_value), place)
        case ast.Call():
            yield from _of_call(node)
    yield from _of_children(node)


def _of_children(node: ast.AST) -> Iterator[Found]:
    for field, value in ast.iter_fields(node):
        yield from _of_field(node, field, value)


def _of_comparison(node: ast.Compare) -> Iterator[Found]:
    for place, operator in enumerate(node.ops):
        for other in _COMPARED[type(operator)]:
            ops = [*node.ops]
            ops[place] = other()
            new = ast.Compare(node.left, ops, node.comparators)

            def change(place: int = place, other: type[ast.cmpop] = other) -> None:
                node.ops[place] = other()

            yield told(node, new), node, change


def _of_call(node: ast.Call) -> Iterator[Found]:
    if isinstance(node.func, ast.Name) and node.func.id in _OPPOSITES:
        yield replaced(node, "func", ast.Name(_OPPOSITES[node.func.id], ast.Load()))
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            told_without, where, change = removed(node, "keywords", place)
            yield f"{ast.unparse(node.func)}({told_without})", where, change


def _other(value: object) -> tuple[Plain, ...]:
    """Another value. Sentences are for people: another one decides nothing."""
    match value:
        case bool():
            return (not value,)
        case int():
            return (value + 1,)
        case float():
            return (value * 2 or 1.0,)
        case str() if len(value.split()) < 3:
            return ("mutated",)
        case _:
            return ()
