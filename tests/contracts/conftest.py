"""The golden examples: one JSON file per message, named by topic and type."""

import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).with_name("examples")


@pytest.fixture
def example() -> Any:
    """Reads the example of a message class as JSON values."""

    def read(message: type[Any]) -> dict[str, Any]:
        path = EXAMPLES / message.topic / f"{message.__name__}.json"
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return values

    return read
