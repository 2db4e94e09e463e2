"""The secrets that SMS gateways sign with, as their files hold them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

GATEWAY_NAME: Final = r"^[a-z0-9][a-z0-9-]{0,31}$"
SHORTEST_SECRET: Final = 16
"""Characters. An empty file must not make everybody's messages genuine."""


def read_secrets(files: Mapping[str, Path]) -> dict[str, SecretStr]:
    """By the gateway's name.

    Raises:
        OSError: a file cannot be read.
        ValueError: a name or a secret is not fit, or two gateways have one secret: then what one has signed
            could be brought again as the other's.
    """
    found: dict[str, str] = {}
    for name, file in files.items():
        if re.fullmatch(GATEWAY_NAME, name) is None:
            raise ValueError(f"{name!r} is no name of a gateway: at most 32 of a-z, 0-9 and -")
        secret = file.read_text(encoding="utf-8").strip()
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"the secret of {name} is shorter than {SHORTEST_SECRET} characters")
        if secret in found.values():
            raise ValueError(f"the secret of {name} is another gateway's, too: each needs its own")
        found[name] = secret
    return {name: SecretStr(secret) for name, secret in found.items()}
