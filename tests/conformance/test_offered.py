"""What memory offers is what the PostgreSQL stores offer, as far as a service's handlers ask for it."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from deploy.local.home import REPOSITORY
from shared.messaging.outbox import Outbox
from shared.messaging.set_aside import SetAside
from tests.conformance.suites import messaging
from tests.simulation.seams import STAND_INS, missing

NOT_LOOKED_AT = frozenset(
    {
        "store",
        "archive",
        "customer_actions",
        "survey",
        "setting",
        "mandates",
        "answers",
        "decisions",
        "replies",
        "numbers",
    }
)
"""Beside routes and views: whose functions are judged themselves; who serves links, gauges, rules, people."""


@pytest.mark.parametrize("stand_in", STAND_INS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_no_store_function_is_forgotten(stand_in: ModuleType) -> None:
    assert not missing(stand_in)


def test_every_function_takes_what_the_real_one_takes() -> None:
    for real, in_memory in _pairs():
        wanted, offered = inspect.signature(real), inspect.signature(in_memory)
        assert _given(offered) == _given(wanted), real.__qualname__


def test_what_is_not_offered_is_asked_over_http_only_or_made_of_what_is() -> None:
    looked_at = 0
    not_asked = {
        f"{module.__name__}.{name}"
        for stand_in in STAND_INS
        for module, names in stand_in.NOT_ASKED.items()
        for name in names
    }
    for path in sorted((REPOSITORY / "services").rglob("*.py")):
        if path.stem in NOT_LOOKED_AT or path.stem.endswith(("routes", "views")):
            continue
        for name in _asked_in(path):
            looked_at += 1
            assert name not in not_asked or _is_made_of_others(name), f"{path} asks for {name}"
    assert looked_at > 30


def test_every_messaging_statement_is_compared() -> None:
    assert {run.__name__ for run in messaging.STATEMENTS} == {*messaging.OUTBOX, *messaging.SET_ASIDE}
    # They are run as these run them, who are not replaced.
    assert "_SQL[" in inspect.getsource(Outbox)
    assert "_SQL[" in inspect.getsource(SetAside)


def _pairs() -> Iterator[tuple[Any, Any]]:
    for stand_in in STAND_INS:
        for module, functions in stand_in.FUNCTIONS.items():
            for name, in_memory in functions.items():
                yield getattr(module, name), in_memory


def _given(signature: inspect.Signature) -> list[tuple[Any, ...]]:
    """All but the connection, which is a transaction in memory."""
    parameters = list(signature.parameters.values())[1:]
    return [(each.name, each.kind, each.default) for each in parameters]


def _asked_in(path: Path) -> Iterator[str]:
    """`module.function` for every store function that is called by its module's name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    stores = {
        (alias.asname or alias.name): f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name.endswith(("store", "archive"))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in stores:
            yield f"{stores[node.value.id]}.{node.attr}"


def _is_made_of_others(name: str) -> bool:
    """Whether the function runs no statement itself."""
    module, _, function = name.rpartition(".")
    source = inspect.getsource(getattr(importlib.import_module(module), function))
    return "connection.fetch" not in source and "connection.execute" not in source
