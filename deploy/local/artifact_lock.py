"""Writes artifacts.lock.json: resolves Kafka's tree, downloads everything once, and records size and sha256.

Run by `make lock`. A version is raised here, nowhere else; the diff of the lock file is what gets reviewed.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import jgo

from deploy.local.artifacts import LOCK_FILE, Artifact, from_maven, parse_coordinate

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
# Kafka logs through slf4j 1.7; without a binding it is silent.
KAFKA_LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5:jar"


def wanted() -> dict[str, list[tuple[str, str]]]:
    """(coordinate, platform) of everything the stack needs, by part."""
    tree = [f"{a.groupId}:{a.artifactId}:{a.version}:{a.packaging}" for a in jgo.resolve(KAFKA)]
    return {"kafka": [(coordinate, "any") for coordinate in sorted({*tree, KAFKA_LOGGING})]}


def measure(coordinate: str, platform: str, folder: Path) -> dict[str, str | int]:
    """One line of the lock, from a fresh download."""
    artifact = Artifact(*parse_coordinate(coordinate), platform=platform, size_bytes=0, sha256="")
    content = from_maven(artifact, folder, lambda _size: None).read_bytes()
    return {
        "coordinate": coordinate,
        "platform": platform,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lock = {
            part: [measure(coordinate, platform, Path(folder)) for coordinate, platform in lines]
            for part, lines in wanted().items()
        }
    LOCK_FILE.write_text(json.dumps(lock, indent=1) + "\n")


if __name__ == "__main__":
    main()
