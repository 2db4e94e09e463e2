"""Writes .env for docker-compose.yml: a fresh password for everything that wants one.

    python3 deploy/compose/passwords.py [FILE]

Standard library only, so that any Python 3.9 runs it. What the file already says is kept, so a new version
that wants one more password is served by running it again. Only its owner can read it; it is never committed.
"""

import os
import secrets
import sys
from pathlib import Path

PASSWORDS = (
    "POSTGRES_PASSWORD",
    "RENEWAL_DATABASE_PASSWORD",
    "CATALOG_DATABASE_PASSWORD",
    "PAYMENT_DATABASE_PASSWORD",
    "PROVISIONING_DATABASE_PASSWORD",
    "USAGE_DATABASE_PASSWORD",
    "PSP_WEBHOOK_SECRET",
    "GRAFANA_PASSWORD",
)
# Everything, for the first look; a deployment with a real PSP and carrier takes `sandbox` out.
DEFAULTS = {"COMPOSE_PROFILES": "sandbox,observability"}
PASSWORD_BYTES = 24


def completed(text: str) -> str:
    """The lines of an .env file, with those that are missing added at the end."""
    known = {line.partition("=")[0].strip() for line in text.splitlines() if "=" in line}
    lines = text.splitlines()
    lines += [f"{name}={value}" for name, value in DEFAULTS.items() if name not in known]
    lines += [f"{name}={secrets.token_urlsafe(PASSWORD_BYTES)}" for name in PASSWORDS if name not in known]
    return "\n".join(lines) + "\n"


def write(path: Path) -> None:
    """Completes the file in one step: it is never half written, nor readable by others."""
    text = completed(path.read_text() if path.exists() else "")
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / ".env"
    write(target)
    print(f"{target} holds every password; `docker compose up --wait` reads it.")
