"""What usage exports is there from the first scrape on: an alert that divides by it must find its zero."""

import subprocess
import sys
from typing import get_args

from deploy.local.home import REPOSITORY
from services.usage.polls.gateways.carrier import AnswerKind

EXPORTED = "import services.usage.metrics, prometheus_client as p; print(p.generate_latest().decode())"


def test_every_answer_to_a_poll_is_exported_before_anything_was_asked() -> None:
    exported = subprocess.run(
        [sys.executable, "-c", EXPORTED],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    for answer in get_args(AnswerKind):
        assert f'recarga_usage_polls_total{{result="{answer}"}} 0.0' in exported
