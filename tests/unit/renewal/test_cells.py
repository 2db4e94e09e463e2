"""Every cell does what was looked through, column by column: see `cells.py`."""

from itertools import zip_longest

from tests.unit.renewal.cells import FILE, cells


def test_every_cell_does_what_was_looked_through() -> None:
    known = FILE.read_text(encoding="utf-8").rstrip("\n").split("\n\n")
    for does, did in zip_longest(cells(), known):
        assert does == did
