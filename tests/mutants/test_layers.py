"""What a layer says of a tree is neither chance nor the machine's fault."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.defects import ROOT
from tests.mutants.layers import AUTHORITIES, LAYERS, Layer, verdict

ENDLESS = "def test_without_end():\n    while True:\n        pass\n"
BEFORE_COLLECTION = """
import sys
import pytest

class Look:
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self):
        print("imported:", *(name for name in sys.modules if name.startswith("services.")))
        return True

pytest.main(["-p", "no:cacheprovider", *sys.argv[1:]], plugins=[Look()])
"""


def test_what_does_not_end_is_caught_by_the_cpu_that_it_takes(tmp_path: Path) -> None:
    package = tmp_path / "tests" / "mutants"
    package.mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    for name in ("tests/__init__.py", "tests/mutants/__init__.py", "tests/mutants/examples.py"):
        source = ROOT / name
        (tmp_path / name).write_text(source.read_text(encoding="utf-8") if source.exists() else "")
    (tmp_path / "test_endless.py").write_text(ENDLESS)
    said = verdict(["test_endless.py"], tmp_path, Layer("unit", (), None, seconds=3))
    assert (said.test, said.why) == ("test_endless.py", "did not end within 3 s")


@pytest.mark.parametrize("service", AUTHORITIES)
def test_nothing_imports_a_service_before_its_mutants(service: str) -> None:
    shown = [path for layer in LAYERS if layer.is_pure for path in layer.tests(service, ROOT)]
    command = [sys.executable, "-c", BEFORE_COLLECTION, f"tests/unit/{service}", *shown]
    ran = subprocess.run(command, cwd=ROOT, timeout=60, check=True, capture_output=True, text=True)
    assert "imported:\n" in ran.stdout
