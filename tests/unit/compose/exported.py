"""What the services' /metrics export, and which metrics an expression names."""

import re
from collections.abc import Iterable
from importlib import import_module

from prometheus_client import REGISTRY, Metric

from deploy.local.home import REPOSITORY

MODULES = (
    "shared.http.boundary",
    *(
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
        for folder in ("shared", "services")
        for file in sorted((REPOSITORY / folder).rglob("metrics.py"))
    ),
)
MADE_BY_PROMETHEUS = frozenset({"up", "ALERTS"})

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
_QUOTED = re.compile(r'"[^"]*"')
_LABELS = re.compile(r"\{[^}]*\}|\b(?:by|without|on|ignoring)\s*\([^)]*\)")
_DURATION = re.compile(r"\[[^\]]*\]")
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\()\b(?!\s*\()")
_OPERATORS = frozenset({"or", "and", "unless", "bool", "offset", "inf", "nan"})


def sample_names(families: Iterable[Metric]) -> set[str]:
    """The names of all samples that families have, or will have with their first label values."""
    return {family.name + suffix for family in families for suffix in _SUFFIXES.get(family.type, ("",))}


def exported_names() -> set[str]:
    """Every sample name that the services can export, those of the process included."""
    for module in MODULES:
        import_module(module)
    return sample_names(REGISTRY.collect())


def metrics_in(expression: str) -> set[str]:
    """The metrics that a PromQL expression names; functions, labels and operators are none."""
    bare = _DURATION.sub(" ", _LABELS.sub(" ", _QUOTED.sub('""', expression)))
    return {word for word in _WORD.findall(bare) if word.lower() not in _OPERATORS}


def labels_in(expression: str) -> set[tuple[str, str]]:
    """Every metric of an expression with each label that it is selected or grouped by."""
    bare = _QUOTED.sub('""', expression)
    selected = {
        (found[1], label)
        for found in re.finditer(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}", bare)
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", found[2])
    }
    grouped = {
        (metric, label.strip())
        for found in re.finditer(r"\bby\s*\(([^)]*)\)\s*\(", bare)
        for metric in metrics_in(_until_closed(bare[found.end() :]))
        for label in found[1].split(",")
    }
    return selected | grouped


def _until_closed(expression: str) -> str:
    """What stands before the parenthesis that closes one opened just before."""
    depth = 1
    for at, character in enumerate(expression):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return expression[:at]
    raise ValueError(f"nothing closes the parenthesis before: {expression}")
