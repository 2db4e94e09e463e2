"""Named statements: SQL lives in `queries.sql` beside the store that runs it."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)


def load_queries(beside: str, name: str = "queries.sql") -> Mapping[str, str]:
    """The statements of the file `name` in the folder of the module file `beside`, by their names.

    A statement begins with `-- name: lock_renewals` and a comment line that says why it exists.

    Raises:
        ValueError: two statements have one name, one is empty, or one does not say why it exists.
    """
    path = Path(beside).with_name(name)
    text = path.read_text(encoding="utf-8")
    heads = list(_NAME.finditer(text))
    statements: dict[str, str] = {}
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        body = text[head.end() : following.start() if following else len(text)].strip()
        if head["name"] in statements:
            raise ValueError(f"{path}: {head['name']} is there twice")
        if not body.startswith("-- "):
            raise ValueError(f"{path}: {head['name']} does not say why it exists")
        if not any(line and not line.startswith("--") for line in body.splitlines()):
            raise ValueError(f"{path}: {head['name']} is empty")
        statements[head["name"]] = body
    return MappingProxyType(statements)
