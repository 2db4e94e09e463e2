"""What a version left behind, kept as files: its messages, its rows, and which migrations had made them.

corpus/<version>/messages.jsonl    some records of every type on every topic, as they were in Kafka
corpus/<version>/<service>.jsonl   every row of every table, after the migrations that had been applied
corpus/<version>/openapi.json      the operations that every service's HTTP API had
"""

import json
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
    """The kept records of a version, in the order of each topic."""
    text = (CORPUS / version / "messages.jsonl").read_text()
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


def keep(
    version: str,
    records: Sequence[KeptRecord],
    schemas: Mapping[str, KeptTables],
    apis: Mapping[str, list[str]],
) -> None:
    """Write a version's folder, anew."""
    folder = CORPUS / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "messages.jsonl").write_text("".join(record.line() + "\n" for record in records))
    for service, kept in schemas.items():
        head = {"recorded_at": kept.recorded_at.isoformat(), "migrations": kept.migrations}
        lines = [json.dumps(head), *(json.dumps(row) for row in kept.rows)]
        (folder / f"{service}.jsonl").write_text("".join(line + "\n" for line in lines))
    (folder / "openapi.json").write_text(json.dumps(apis, indent=1, sort_keys=True) + "\n")


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
