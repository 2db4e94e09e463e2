"""Writes what docker-compose.yml reads: a fresh password for everything that wants one, in .env.

    python3 deploy/compose/passwords.py [FOLDER]

Standard library only, so that any Python 3.9 runs it. What is there is kept, so a new version that wants one
more password is served by running it again. None of it is ever committed.
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
    "GRAFANA_PASSWORD",
)
# Everything, for the first look; a deployment with a real PSP and carrier takes `sandbox` out.
DEFAULTS = {"COMPOSE_PROFILES": "sandbox,observability"}
PASSWORD_BYTES = 24
SECRETS = Path(".recarga") / "compose"
WEBHOOK_SECRET = SECRETS / "webhook-secret"
OPERATOR_SECRET = SECRETS / "operator-secret"
CUSTOMER_LINK_SECRET = SECRETS / "customer-link-secret"
TEXT_MESSAGE_SECRET = SECRETS / "text-message-secret"


def completed(text: str) -> str:
    """The lines of an .env file, with those that are missing added at the end."""
    known = {line.partition("=")[0].strip() for line in text.splitlines() if "=" in line}
    lines = text.splitlines()
    lines += [f"{name}={value}" for name, value in DEFAULTS.items() if name not in known]
    lines += [f"{name}={secrets.token_urlsafe(PASSWORD_BYTES)}" for name in PASSWORDS if name not in known]
    return "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Completes .env and the secrets of webhooks, operators' tokens, payers' links and text messages."""
    env = folder / ".env"
    replace(env, completed(env.read_text() if env.exists() else ""), 0o600)
    # Their folder keeps other users out; the files are read by containers, strangers to their owner.
    (folder / SECRETS).mkdir(parents=True, exist_ok=True)
    (folder / SECRETS).chmod(0o700)
    for name in (WEBHOOK_SECRET, OPERATOR_SECRET, CUSTOMER_LINK_SECRET, TEXT_MESSAGE_SECRET):
        secret = folder / name
        if not secret.exists():
            replace(secret, secrets.token_urlsafe(PASSWORD_BYTES), 0o444)


def replace(path: Path, text: str, mode: int) -> None:
    """Writes the file in one step: it is never half written, nor open to others for a moment."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.chmod(mode)
    fresh.replace(path)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    write(target)
    print(f"{target / '.env'} holds every password; `docker compose up --build --wait` reads it.")
