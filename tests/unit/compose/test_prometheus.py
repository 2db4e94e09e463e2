"""Prometheus' and Alertmanager's own tools accept what they will be given, and every alert is tested."""

import re
from pathlib import Path

import pytest

from tests.unit.compose.files import COMPOSE, REPOSITORY, RUNBOOKS, alerts, read_yaml


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_alert_says_how_urgent_it_is_how_long_it_waits_and_what_to_do(alert: dict[str, object]) -> None:
    labels, annotations = alert["labels"], alert["annotations"]
    assert isinstance(labels, dict)
    assert isinstance(annotations, dict)
    assert labels["severity"] in ("page", "ticket")
    assert alert["for"]
    assert annotations["summary"]
    assert annotations["description"]
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", str(alert["alert"])).lower()
    assert annotations["runbook_url"] == f"docs/runbooks/{kebab}.md"
    assert (REPOSITORY / annotations["runbook_url"]).is_file()


@pytest.mark.parametrize("alert", [alert["alert"] for alert in alerts()])
def test_every_alert_is_tested_to_fire_and_not_to_fire(alert: str) -> None:
    tests = [
        each
        for test in read_yaml(COMPOSE / "alerts_test.yml")["tests"]
        for each in test["alert_rule_test"]
        if each["alertname"] == alert
    ]
    assert any(each.get("exp_alerts") for each in tests)
    assert any(not each.get("exp_alerts") for each in tests)


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_runbook_belongs_to_an_alert_and_says_what_to_do(runbook: Path) -> None:
    assert f"docs/runbooks/{runbook.name}" in {alert["annotations"]["runbook_url"] for alert in alerts()}
    text = runbook.read_text()
    for heading in ("## What it means", "## Look", "## Do"):
        assert f"\n{heading}\n" in text, f"{runbook.name} lacks {heading}"


def test_the_table_of_the_docs_has_every_alert_with_its_severity_and_runbook() -> None:
    told = re.findall(
        r"^\| \[(\w+)\]\((runbooks/[a-z-]+\.md)\) \| (\w+) \|",
        (REPOSITORY / "docs" / "observability.md").read_text(),
        re.MULTILINE,
    )
    assert sorted(told) == sorted(
        (
            alert["alert"],
            alert["annotations"]["runbook_url"].removeprefix("docs/"),
            alert["labels"]["severity"],
        )
        for alert in alerts()
    )


def test_every_severity_of_an_alert_has_somebody_to_tell() -> None:
    route = read_yaml(COMPOSE / "alertmanager.yml")["route"]
    told = " ".join(matcher for each in route["routes"] for matcher in each["matchers"])
    severities = {alert["labels"]["severity"] for alert in alerts()}
    assert severities == {"page", "ticket"}
    assert "page" in told
    assert route["receiver"] == "ticket"
