"""Where an import stands, in a file beside its report: whoever starts it again goes on from there."""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError


class Changed(Exception):
    """The file, or what is to be done with it, is not what it was: going on would leave lines out."""


@dataclass(slots=True)
class Standing:
    """Everything up to `last_line` has been judged and sent; `digest` is of the file up to there."""

    kind: str
    url: str
    last_line: int = 1
    digest: str = ""
    report_bytes: int = 0
    taken: int = 0
    refused: int = 0
    forbidden: int = 0
    noted: dict[str, int] = field(default_factory=dict)
    """Of what was taken, by what the service said of it where that was not the usual."""


_STANDING = TypeAdapter(Standing)


def standing_file(report: Path) -> Path:
    """Where the import with that report keeps its standing."""
    return report.with_name(report.name + ".resume")


def read_standing(path: Path, begun: Standing) -> Standing:
    """What `path` says, or `begun` where nothing was begun.

    Raises:
        Changed: what was begun is another import, or the file does not say what.
    """
    try:
        kept = _STANDING.validate_json(path.read_bytes())
    except FileNotFoundError:
        return begun
    except (OSError, ValidationError):
        raise Changed(f"{path} cannot be read, so it is not known how far the import was.") from None
    if (kept.kind, kept.url) != (begun.kind, begun.url):
        raise Changed(f"The import that was begun here is one of {kept.kind} to {kept.url}.")
    return kept


def keep_standing(path: Path, standing: Standing) -> None:
    """Write it in one piece: a crash leaves the one before."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(orjson.dumps(asdict(standing)))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
