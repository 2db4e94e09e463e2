"""The comparison on files: the documented example, lines in any order, gzip, lines that are no good."""

import gzip
import re
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import typer
from typer.testing import CliRunner

from deploy.local.shadow.__main__ import compare, main
from deploy.local.shadow.charges import CHARGES
from deploy.local.shadow.files import Files
from services.usage.domain.carrier import Carrier
from services.usage.domain.triggers import Wants
from shared.imports.reading import Reader

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "shadow"
DOCUMENT = (ROOT / "docs" / "adoption.md").read_text(encoding="utf-8")
NAMES = ("usage", "charges", "subscriptions", "rules", "offerings", "mandates", "prices", "buckets")
CARRIER = Carrier("records", "written_off", Wants(10, predicted_seconds=900, expiring_seconds=86_400))


def run(folder: Path, out: Path, suffix: str = ".csv") -> str:
    files = Files(**{name: folder / f"{name}{suffix}" for name in NAMES})
    compare(files, {}, out, CARRIER, timedelta(hours=24))
    return out.read_text(encoding="utf-8")


def test_the_example_gives_what_the_documentation_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(EXAMPLE, tmp_path / "out.csv") == (EXAMPLE / "lines.csv").read_text(encoding="utf-8")
    sums = (tmp_path / "out.subscriptions.csv").read_text(encoding="utf-8")
    assert sums == (EXAMPLE / "lines.subscriptions.csv").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```\n(From files: .*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out.startswith(shown)


def test_the_example_of_charges_is_good() -> None:
    [example] = re.findall(r"^```csv\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    [chunk] = Reader(CHARGES, (line.encode() for line in example.splitlines())).chunks()
    assert (len(chunk.rows), chunk.refusals) == (2, [])


@pytest.mark.parametrize("seed", range(3))
def test_lines_in_any_order_and_packed_give_the_same_to_the_byte(tmp_path: Path, seed: int) -> None:
    lots = Random(seed)
    for name in NAMES:
        header, *lines = (EXAMPLE / f"{name}.csv").read_text(encoding="utf-8").splitlines()
        lots.shuffle(lines)
        packed = gzip.compress("\n".join([header, *lines, ""]).encode())
        (tmp_path / f"{name}.csv.gz").write_bytes(packed)
    found = run(tmp_path, tmp_path / "out.csv", ".csv.gz")
    assert found == (EXAMPLE / "lines.csv").read_text(encoding="utf-8")


def test_a_line_that_is_no_good_is_told_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        text = (EXAMPLE / f"{name}.csv").read_text(encoding="utf-8")
        if name == "charges":
            text += "sub-ana,8953000000000000028,2026-10-06T18:00:00Z,1100,USD,cu-1gb\n"
            text += "sub-ana,,yesterday,1,USD,x\n"
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    assert run(tmp_path, tmp_path / "out.csv") == (EXAMPLE / "lines.csv").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    assert "charges.csv: 2 faults" in said
    assert "one of the two" in said or "instant" in said


def command(tmp_path: Path, **different: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(main)
    options = {name: str(EXAMPLE / f"{name}.csv") for name in NAMES} | {"out": str(tmp_path / "out.csv")}
    arguments = [text for name, value in (options | different).items() for text in (f"--{name}", value)]
    ended = CliRunner().invoke(app, arguments)
    return ended.exit_code, ended.output


def test_a_difference_is_no_failure(tmp_path: Path) -> None:
    status, said = command(tmp_path)
    assert status == 0
    assert "only_they               4" in said


def test_a_file_that_cannot_be_read_is(tmp_path: Path) -> None:
    (tmp_path / "charges.csv").write_text("when,how_much\n", encoding="utf-8")
    assert command(tmp_path, charges=str(tmp_path / "charges.csv"))[0] == 2
    assert command(tmp_path, usage=str(tmp_path / "missing.csv"))[0] == 2
