"""What only promtool and amtool can tell: run by `make check`, since `make test` needs no tool."""

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.unit.compose.files import COMPOSE, expressions

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
