"""What a version left behind, kept as files: its messages, its rows, and which migrations had made them.

corpus/<version>/messages.jsonl    some records of each type that a run left on the topics, as in Kafka
corpus/<version>/examples.jsonl    of each other type one record: that version's golden example
                                   (tests/contracts/examples at its tag), made a record by its own code
corpus/<version>/types.json        every message type of that version, as "<topic>/<type>"
corpus/<version>/<service>.jsonl   every row of every table, after the migrations that had been applied
corpus/<version>/*.journal         what PSP and carrier of the sandbox remember of the renewals that are open
corpus/<version>/openapi.json      the operations that every service's HTTP API had
corpus/<version>/commit            what its tag names, written by hand; for a history without tags

Examples stand apart from messages because they belong to no kept row: replayed onto the rows, each would be
an event of a renewal that nobody knows.
"""

import json
import shutil
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A Kafka record, its bytes intact."""

    topic: str
    type: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def line(self) -> str:
        """One line of messages.jsonl; readable where the bytes are."""
        return json.dumps(
            {
                "topic": self.topic,
                "type": self.type,
                "key": _told(self.key),
                "value": _told(self.value),
                "headers": [[name, _told(content)] for name, content in self.headers],
            }
        )

    @classmethod
    def read(cls, line: str) -> Self:
        kept = json.loads(line)
        headers = tuple((name, _untold(content) or b"") for name, content in kept["headers"])
        return cls(kept["topic"], kept["type"], _untold(kept["key"]), _untold(kept["value"]), headers)


def versions() -> list[str]:
    """The versions of which something was kept, oldest first."""
    return sorted(folder.name for folder in CORPUS.iterdir() if folder.is_dir())


def messages(version: str) -> list[KeptRecord]:
    """What a run of the version left in Kafka, in the order of each topic; these belong to its kept rows."""
    return _records(version, "messages")


def examples(version: str) -> list[KeptRecord]:
    """One record of each type that the run did not bring about; these belong to no row."""
    return _records(version, "examples")


def types(version: str) -> list[str]:
    """Every message type that the version knew, as "payments.v1/PaymentCaptured", whatever ours knows."""
    known: list[str] = json.loads((CORPUS / version / "types.json").read_text())
    return known


def _records(version: str, file: str) -> list[KeptRecord]:
    text = (CORPUS / version / f"{file}.jsonl").read_text()
    return [KeptRecord.read(line) for line in text.splitlines()]


@dataclass(frozen=True, slots=True)
class KeptTables:
    """A service's schema as it stood: when, the versions of its migrations, (table, row) for every row."""

    recorded_at: datetime
    migrations: list[str]
    rows: list[tuple[str, dict[str, Any]]]

    def of(self, table: str) -> list[dict[str, Any]]:
        """The rows of one table."""
        return [row for name, row in self.rows if name == table]


def tables(version: str, service: str) -> KeptTables:
    """What a version left in the schema of a service."""
    first, *rest = (CORPUS / version / f"{service}.jsonl").read_text().splitlines()
    head = json.loads(first)
    recorded_at = datetime.fromisoformat(head["recorded_at"])
    return KeptTables(recorded_at, head["migrations"], [tuple(json.loads(line)) for line in rest])


def operations(version: str) -> dict[str, list[str]]:
    """By service: the operations of its HTTP API, as "GET /v1/renewals/{renewal_id}"."""
    kept: dict[str, list[str]] = json.loads((CORPUS / version / "openapi.json").read_text())
    return kept


def keep_messages(
    version: str, run: Sequence[KeptRecord], others: Sequence[KeptRecord], known: Sequence[str]
) -> None:
    """Write a version's messages anew: what a run left, examples of the other types, all types there are."""
    folder = _folder(version)
    for file, records in (("messages", run), ("examples", others)):
        (folder / f"{file}.jsonl").write_text("".join(record.line() + "\n" for record in records))
    (folder / "types.json").write_text(json.dumps(known, indent=1) + "\n")


def keep_rows(version: str, schemas: Mapping[str, KeptTables], apis: Mapping[str, list[str]]) -> None:
    """Write a version's tables and HTTP operations anew."""
    folder = _folder(version)
    for service, kept in schemas.items():
        head = {"recorded_at": kept.recorded_at.isoformat(), "migrations": kept.migrations}
        lines = [json.dumps(head), *(json.dumps(row) for row in kept.rows)]
        (folder / f"{service}.jsonl").write_text("".join(line + "\n" for line in lines))
    (folder / "openapi.json").write_text(json.dumps(apis, indent=1, sort_keys=True) + "\n")


def keep_journals(version: str, sandbox: Path) -> None:
    """Copy what PSP and carrier remember out of the folder of a sandbox that has stopped."""
    for journal in sandbox.glob("*.journal"):
        shutil.copyfile(journal, _folder(version) / journal.name)


def lay_journals(version: str, sandbox: Path) -> None:
    """Put it into the folder of a sandbox that has not started."""
    sandbox.mkdir(parents=True, exist_ok=True)
    for journal in (CORPUS / version).glob("*.journal"):
        shutil.copyfile(journal, sandbox / journal.name)


def _folder(version: str) -> Path:
    folder = CORPUS / version
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _told(content: bytes | None) -> Any:
    """Text where it is text, so that a diff can be read."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(content).decode()}


def _untold(kept: Any) -> bytes | None:
    if kept is None:
        return None
    return b64decode(kept["base64"]) if isinstance(kept, dict) else str(kept).encode()
