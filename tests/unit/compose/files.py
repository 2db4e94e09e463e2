"""The files under test, read once."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[3]
COMPOSE = REPOSITORY / "deploy" / "compose"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::?(?P<kind>[-?])(?P<text>[^}]*))?\}")


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def compose_file() -> dict[str, Any]:
    """docker-compose.yml as it is written: anchors merged, variables not yet replaced."""
    read: dict[str, Any] = read_yaml(REPOSITORY / "docker-compose.yml")
    return read


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """The text with ${NAME}, ${NAME:-default} and ${NAME:?message} replaced as compose does."""

    def value(found: re.Match[str]) -> str:
        given = variables.get(found["name"])
        if given:
            return given
        if found["kind"] == "-":
            return found["text"]
        raise KeyError(found["name"])

    return _VARIABLE.sub(value, text)


def required_variables(text: str) -> set[str]:
    """The variables without a default."""
    return {found["name"] for found in _VARIABLE.finditer(text) if found["kind"] != "-"}


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read_yaml(COMPOSE / "alerts.yml")["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    text = (COMPOSE / "grafana" / "dashboards" / "overview.json").read_text()
    read: dict[str, Any] = json.loads(text)
    return read


def expressions() -> list[tuple[str, str]]:
    """(where, PromQL) of every panel, annotation and alert."""
    of_panels = [
        (panel["title"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    ]
    of_annotations = [(each["name"], each["target"]["expr"]) for each in dashboard()["annotations"]["list"]]
    return of_panels + of_annotations + [(alert["alert"], alert["expr"]) for alert in alerts()]
