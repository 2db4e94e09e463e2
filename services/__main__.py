"""All services in one process: `python -m services`. For a laptop; production runs each on its own.

Every service still has its own schema, role and port: RECARGA_<SERVICE>_DATABASE_URL and
RECARGA_<SERVICE>_HTTP_PORT say which, everything else is shared.
"""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from services import NAMES
from shared.observability.logging import configure_logging
from shared.runner import RunningService, read_settings, run_to_end

_OWN = ("database_url", "http_port", "instance")


def _settings(name: str) -> Any:
    own = {key: os.environ.get(f"RECARGA_{name}_{key}".upper()) for key in _OWN}
    settings_class = import_module(f"services.{name}.settings").Settings
    return read_settings(settings_class, **{key: value for key, value in own.items() if value is not None})


def _services() -> Sequence[RunningService]:
    return [
        RunningService(name, import_module(f"services.{name}.wiring").build, _settings(name))
        for name in NAMES
    ]


if __name__ == "__main__":
    configure_logging("all", os.environ.get("RECARGA_INSTANCE", "1"))
    run_to_end(_services)
