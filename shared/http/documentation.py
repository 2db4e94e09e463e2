"""The page at /docs, written from the OpenAPI document: no script, nothing loaded from elsewhere.

The usual pages fetch their code from the network, which an operations room may not have.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]
Document = Mapping[str, Any]

_STYLE = Path(__file__).with_name("documentation.css").read_text(encoding="utf-8")
_METHODS = ("get", "post", "put", "patch", "delete")
_DEEPEST = 5
"""Levels of nested objects that are shown; a schema may contain itself."""
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters or fewer",
    "minItems": "{} items or more",
    "maxItems": "{} items or fewer",
    "pattern": "matches {}",
    "default": "{} unless given",
}


def documentation_page(document: Document) -> str:
    """HTML for an OpenAPI 3.1 document: every path with its parameters, bodies, answers and a curl line."""
    about = document["info"]
    operations = "".join(
        _operation(document, method, path, item[method])
        for path, item in sorted(document.get("paths", {}).items())
        for method in _METHODS
        if method in item
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(about['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(about['title'])}</h1><p>{escape(about.get('description', ''))}</p>"
        '<p><a href="openapi.json">openapi.json</a> · <a href="metrics">metrics</a> · '
        '<a href="health/ready">health</a></p></header>'
        f"<main>{operations or '<p>This service answers no requests of its own.</p>'}</main></body></html>"
    )


def _operation(document: Document, method: str, path: str, operation: Schema) -> str:
    # The framework makes a summary of the function's name; what the function says of itself tells more.
    description = operation.get("description", "")
    summary, _, more = (description or operation.get("summary", "")).partition("\n")
    parts = [f"<p>{escape(more.strip())}</p>"] if more.strip() else []
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(_parameter(document, parameter) for parameter in parameters)
        parts.append(f'<h3>Parameters</h3><dl class="fields">{rows}</dl>')
    body = next(iter(operation.get("requestBody", {}).get("content", {}).values()), None)
    if body is not None:
        parts.append(f"<h3>Body</h3>{_fields(document, body.get('schema', {}), 0)}")
    parts.extend(_answers(document, operation.get("responses", {})))
    parts.append(f"<h3>Example</h3><pre>{escape(_curl(document, method, path, parameters, body))}</pre>")
    return (
        f'<details class="operation"><summary><span class="method">{method.upper()}</span>'
        f'<code>{escape(path)}</code> <span class="about">{escape(summary)}</span></summary>'
        f"<div>{''.join(parts)}</div></details>"
    )


def _answers(document: Document, responses: Schema) -> Iterator[str]:
    for status, response in responses.items():
        yield f"<h3>Answer {escape(status)}: {escape(response.get('description', ''))}</h3>"
        for media_type, content in response.get("content", {}).items():
            yield (
                f'<details><summary class="kind">{escape(media_type)}</summary>'
                f"{_fields(document, content.get('schema', {}), 0)}</details>"
            )


def _parameter(document: Document, parameter: Schema) -> str:
    where = f'<span class="kind">in the {escape(parameter["in"])}</span>'
    return _row(
        parameter["name"],
        bool(parameter.get("required")),
        f"{where} {_kind(document, parameter.get('schema', {}))} {escape(parameter.get('description', ''))}",
    )


def _fields(document: Document, schema: Schema, depth: int) -> str:
    """An object as a definition list; anything else as its kind alone."""
    schema = _resolved(document, schema)
    if "items" in schema:
        schema = _resolved(document, schema["items"])
    for choice in schema.get("anyOf") or schema.get("oneOf") or ():
        if _resolved(document, choice).get("properties"):
            schema = _resolved(document, choice)
    if not schema.get("properties"):
        return "" if depth else f"<p>{_kind(document, schema)}</p>"
    if depth == _DEEPEST:
        return '<p class="kind">and so on</p>'
    required = schema.get("required", ())
    rows = "".join(
        _row(name, name in required, _described(document, field) + _fields(document, field, depth + 1))
        for name, field in schema["properties"].items()
    )
    return f'<dl class="fields">{rows}</dl>'


def _described(document: Document, schema: Schema) -> str:
    return f"{_kind(document, schema)} {escape(schema.get('description', ''))}"


def _row(name: str, required: bool, described: str) -> str:
    mark = ' class="required"' if required else ""
    return f"<dt{mark}><code>{escape(name)}</code></dt><dd>{described}</dd>"


def _kind(document: Document, schema: Schema) -> str:
    return f'<span class="kind">{escape(_words(document, schema))}</span>'


def _words(document: Document, schema: Schema) -> str:
    """What a value may be, in a few words: `integer, at least 1`."""
    schema = _resolved(document, schema)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_words(document, choice) for choice in choices))
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("format") or schema.get("type") or schema.get("title") or "any")
    if "items" in schema:
        kind = f"list of {_words(document, schema['items'])}"
    bounds = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    return ", ".join([kind, *bounds])


def _resolved(document: Document, schema: Schema) -> Schema:
    target: Any = schema
    for _ in range(_DEEPEST):
        if "$ref" not in target:
            break
        path = target["$ref"].removeprefix("#/").split("/")
        target = document
        for segment in path:
            target = target[segment]
    resolved: Schema = target
    return resolved


def _curl(document: Document, method: str, path: str, parameters: list[Schema], body: Schema | None) -> str:
    lines = [f"curl -X {method.upper()} 'http://HOST:PORT{path}'"]
    lines += [f"-H '{one['name']}: …'" for one in parameters if one["in"] == "header" and one.get("required")]
    if body is not None:
        example = json.dumps(_example(document, body.get("schema", {}), 0), ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d '{example}'"]
    return " \\\n  ".join(lines)


def _example(document: Document, schema: Schema, depth: int) -> Any:
    """A value of the right shape, required fields only."""
    schema = _resolved(document, schema)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _example(document, choices[0], depth)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "array":
        return [_example(document, schema.get("items", {}), depth + 1)] if depth < _DEEPEST else []
    if schema.get("type") == "object" and depth < _DEEPEST:
        properties = schema.get("properties", {})
        return {name: _example(document, properties[name], depth + 1) for name in schema.get("required", ())}
    simple = {"integer": schema.get("minimum", 0), "number": 0, "boolean": True, "null": None}
    return simple.get(str(schema.get("type")), "…")
