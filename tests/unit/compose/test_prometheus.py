"""Prometheus' and Alertmanager's own tools accept what they will be given, and every alert is tested."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.unit.compose.files import COMPOSE, REPOSITORY, RUNBOOKS, alerts, expressions, read_yaml

DEADLINE_SECONDS = 60


def run(tool: str, *arguments: str | Path) -> None:
    """Run promtool or amtool; what it says is the failure."""
    found = shutil.which(tool)
    assert found, f"{tool} is not installed: install Debian's prometheus and prometheus-alertmanager packages"
    done = subprocess.run([found, *arguments], capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration() -> None:
    run("promtool", "check", "config", COMPOSE / "prometheus.yml")


def test_promtool_finds_nothing_wrong_with_the_alerts() -> None:
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", COMPOSE / "alerts.yml")


def test_the_alerts_fire_when_they_must_and_keep_quiet_when_they_must() -> None:
    run("promtool", "test", "rules", COMPOSE / "alerts_test.yml")


def test_amtool_accepts_the_configuration() -> None:
    run("amtool", "check-config", COMPOSE / "alertmanager.yml")


def test_promtool_can_parse_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": expression.replace("$service", "renewal|usage").replace("$__rate_interval", "1m"),
        }
        for number, (_, expression) in enumerate(expressions())
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run("promtool", "check", "rules", file)


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


def test_every_severity_of_an_alert_has_somebody_to_tell() -> None:
    route = read_yaml(COMPOSE / "alertmanager.yml")["route"]
    told = " ".join(matcher for each in route["routes"] for matcher in each["matchers"])
    severities = {alert["labels"]["severity"] for alert in alerts()}
    assert severities == {"page", "ticket"}
    assert "page" in told
    assert route["receiver"] == "ticket"
