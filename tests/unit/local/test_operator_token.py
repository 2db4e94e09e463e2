"""`make operator-token` prints what the services of the same home believe, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from deploy.local.__main__ import app
from deploy.local.home import Home
from shared.clock import utc_now
from shared.operators.tokens import Operator, Tokens


def test_the_token_is_signed_with_the_secret_that_the_services_are_told(tmp_path: Path) -> None:
    words = ["operator-token", "ana", "--role", "viewer", "--home", str(tmp_path)]
    printed = CliRunner().invoke(app, words)

    assert printed.exit_code == 0
    secret = SecretStr(Home.at(tmp_path).operator_secret_file.read_text().strip())
    assert Tokens(secret, utc_now).read(printed.stdout.strip()) == Operator("ana", "viewer")


@pytest.mark.parametrize("name", ["Ana", "", "ana maria"])
def test_a_name_that_cannot_be_signed_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    refused = CliRunner().invoke(app, ["operator-token", name, "--home", str(tmp_path)])

    assert refused.exit_code == 1
    assert "is no operator's name" in refused.output
    assert "Traceback" not in refused.output
