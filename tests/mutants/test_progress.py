"""A run that was interrupted goes on; one over other sources begins anew."""

import subprocess
import sys
from pathlib import Path

from tests.mutants.defects import ROOT
from tests.mutants.progress import Progress, path_of

BESIDE = """
import sys
from tests.mutants import imports
import services.payment.domain.commands, services.usage.domain.triggers
sys.path.insert(0, "tests")
import simulation.conftest
names = imports.beside("payment")
assert "services.usage.domain.triggers" in names and "shared.contracts.payments" in names
assert not [name for name in names if name.startswith(("services.payment", "tests", "simulation"))]
imports.import_all(names, "catalog")
try:
    imports.import_all([], "payment")
except RuntimeError:
    sys.exit(7)
"""


def test_what_was_found_out_is_known_to_the_next_run(tmp_path: Path) -> None:
    Progress(tmp_path / "deep" / "usage.jsonl").note("a mutant", "a test")
    Progress(tmp_path / "deep" / "usage.jsonl").note("another", "")
    after = Progress(tmp_path / "deep" / "usage.jsonl")
    assert after.known == {"a mutant": "a test", "another": ""}
    after.forget()
    assert Progress(tmp_path / "deep" / "usage.jsonl").known == {}


def test_a_line_that_was_cut_off_counts_as_not_written(tmp_path: Path) -> None:
    (tmp_path / "usage.jsonl").write_text('["a mutant", "a test"]\n["another", "a te')
    assert Progress(tmp_path / "usage.jsonl").known == {"a mutant": "a test"}


def test_changed_sources_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    source = tmp_path / "services" / "till.py"
    source.write_text("PRICE = 1\n")
    before = path_of("till", tmp_path, ["services"])
    assert path_of("till", tmp_path, ["services"]) == before
    source.write_text("PRICE = 2\n")
    assert path_of("till", tmp_path, ["services"]) != before


def test_what_is_imported_beforehand_knows_nothing_of_the_service() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", BESIDE], cwd=ROOT, timeout=60, check=False, capture_output=True, text=True
    )
    assert ran.returncode == 7, ran.stderr
