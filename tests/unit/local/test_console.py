"""What a command tells of an error: the whole text, whatever stands in it."""

from __future__ import annotations

import pytest

from deploy.local.console import show_error
from deploy.local.errors import ChildDied


@pytest.mark.parametrize("text", ["Kafka died: [controller-1-raft] failed", "see [/var/lib/x]", "C:\\[red]"])
def test_brackets_of_a_log_or_a_path_are_shown(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_error(ChildDied(text))
    assert capsys.readouterr().out == f"Error: {text}\n"
