"""Where the local stack keeps things: one folder per home, and what is shared between homes.

.recarga/            RECARGA_HOME moves it
  data/kafka         what Kafka stores; survives `down`, removed by `clean`
  data/postgres      what PostgreSQL stores (elsewhere for root, see `postgres_account`)
  logs/<name>.log    the output of each process, the run before as <name>.log.1
  run/               lock, record of running processes, generated settings
  secrets/           passwords made at first start, mode 600
.recarga/runtime     PostgreSQL's programs where its account cannot enter .venv: for all homes of a checkout
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def default_home() -> Path:
    """RECARGA_HOME, or `.recarga` in the repository."""
    named = os.environ.get("RECARGA_HOME")
    return Path(named).expanduser().resolve() if named else REPOSITORY / ".recarga"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one stack. `path` is absolute; nothing is created before `prepare`."""

    path: Path

    @classmethod
    def at(cls, path: Path | None = None) -> Home:
        return cls((path or default_home()).expanduser().resolve())

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def stored(self) -> Path:
        return self.path / "data"

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def operator_secret_file(self) -> Path:
        """What operators' tokens are signed with."""
        return self.secrets / "operator"

    @property
    def customer_link_secret_file(self) -> Path:
        """What the links are signed with by which payers answer."""
        return self.secrets / "customer-link"

    @property
    def text_message_secret_file(self) -> Path:
        """What the SMS gateway of the local stack signs its messages with."""
        return self.secrets / "text-messages"

    @property
    def downloads(self) -> Path:
        return self.path / "downloads"

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Creates the folders; secrets are the owner's alone."""
        for folder in (self.path, self.logs, self.stored, self.run):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, exist_ok=True)
