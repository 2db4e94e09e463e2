"""The report: a CSV file with a line for each fault that was found, in the order of the file."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from shared.imports.reading import Refusal

COLUMNS: Final = ("line", "column", "why", "given")


class Report:
    """An open report. Begun anew, or continued after `kept_bytes`: what is beyond was never counted."""

    def __init__(self, path: Path, kept_bytes: int = 0) -> None:
        self.path = path
        self._file = path.open("r+" if kept_bytes else "w", encoding="utf-8", newline="")
        self._file.seek(kept_bytes)
        self._file.truncate()
        self._rows = csv.writer(self._file, lineterminator="\n")
        if not kept_bytes:
            self._rows.writerow(COLUMNS)

    def add(self, refusals: Iterable[Refusal]) -> None:
        self._rows.writerows(refusals)

    def keep(self) -> int:
        """Bring everything to the disk; how many bytes there are then."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
