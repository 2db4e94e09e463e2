"""What the pages tell operators to type is a command that there is."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.renewal.operators.__main__ import app

DOCS = Path(__file__).parents[4] / "docs"
PAGES = (DOCS / "operators.md", *sorted((DOCS / "runbooks").glob("*.md")))
NOBODY = ["--url", "http://127.0.0.1:9", "--token", "none"]
AN_ID = "01234567-89ab-7def-8123-456789abcdef"


def commands() -> list[tuple[str, str]]:
    """Every line that begins a command of ours, and every one within a sentence, with its page."""
    found = re.compile(r"^ +operators ([a-z].*)$|`operators ([a-z][^`]*)`", re.MULTILINE)
    return [
        (page.stem, alone or within)
        for page in PAGES
        for alone, within in found.findall(page.read_text(encoding="utf-8"))
    ]


def test_the_pages_tell_commands() -> None:
    assert len(commands()) > 20


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_command_of_a_page_is_one_that_is_sent(page: str, command: str) -> None:
    words = shlex.split(re.sub(r"\b[A-Z]+_ID\b", AN_ID, command), comments=True)
    ran = CliRunner().invoke(app, [*NOBODY, *words])
    assert (ran.exit_code, "does not answer" in ran.stderr) == (1, True), (page, command, ran.stderr)
