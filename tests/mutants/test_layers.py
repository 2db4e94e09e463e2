"""What a layer says of a tree is neither chance nor the machine's fault."""

from pathlib import Path

from tests.mutants.defects import ROOT
from tests.mutants.layers import Layer, verdict

ENDLESS = "def test_without_end():\n    while True:\n        pass\n"


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
