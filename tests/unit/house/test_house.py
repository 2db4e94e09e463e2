"""The house rules that a reader would otherwise have to check: each is one test over the tracked files."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LONGEST_FILE = 350
NOUNS = ("renewal", "payment", "subscription", "topup", "top_up", "carrier", "offering", "wallet", "refund")
IMPURE = {"now", "utcnow", "today", "uuid4", "uuid7", "random", "randint", "urandom", "monotonic", "sleep"}


@cache
def tracked(ending: str) -> tuple[Path, ...]:
    """The files of the project with that ending, new ones included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", f"*{ending}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout.split()
    return tuple(ROOT / name for name in listed if (ROOT / name).exists())


def under(*folders: str, ending: str = ".py") -> Iterator[Path]:
    for path in tracked(ending):
        if path.relative_to(ROOT).parts[0] in folders:
            yield path


def test_shared_names_no_noun_of_the_business_outside_its_contracts() -> None:
    for path in [*under("shared"), *under("shared", ending=".sql")]:
        if "contracts" in path.parts:
            continue
        for node in re.findall(r"[A-Za-z_]+", _without_comments(path)):
            assert not any(noun in node.lower() for noun in NOUNS), f"{path}: {node}"


def test_a_domain_reads_no_clock_and_draws_no_lots() -> None:
    looked_at = [path for path in under("services") if "domain" in path.parts]
    assert len(looked_at) > 20
    for path in looked_at:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                assert name not in IMPURE, f"{path}:{node.lineno} calls {name}()"


def test_a_long_file_says_at_its_top_why_it_is_one() -> None:
    for path in under("services", "shared", "deploy"):
        lines = path.read_text(encoding="utf-8").splitlines()
        head = "\n".join(lines[:8]).lower()
        assert len(lines) <= LONGEST_FILE or "longer than" in head, f"{path} has {len(lines)} lines"


def test_tests_sleep_only_between_two_looks_at_a_condition() -> None:
    for path in under("tests"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        polls = {
            id(node)
            for loop in ast.walk(tree)
            if isinstance(loop, ast.While | ast.For)
            for node in ast.walk(loop)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".sleep"):
                if ast.unparse(node.args[0]) == "0":
                    continue  # lets others run, waits for nothing
                assert id(node) in polls, f"{path}:{node.lineno}: wait on a condition with a deadline"


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_nothing_is_left_for_later(word: str) -> None:
    for path in tracked(".py"):
        if path != Path(__file__):
            assert word not in path.read_text(encoding="utf-8"), path


def test_every_named_statement_is_run_somewhere() -> None:
    for path in under("services", "shared", "deploy", ending=".sql"):
        names = re.findall(r"^-- name: (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        beside = "\n".join(module.read_text(encoding="utf-8") for module in path.parent.glob("*.py"))
        for name in names:
            assert f'"{name}"' in beside, f"{path}: nobody runs {name}"


def _without_comments(path: Path) -> str:
    """The file without comments and docstrings: those may say what a noun is."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        return re.sub(r"--[^\n]*", "", text)
    text = re.sub(r'"""(?:.|\n)*?"""', "", text)
    return re.sub(r"#[^\n]*", "", text)
