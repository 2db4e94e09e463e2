"""The AsyncAPI 3.0 document of every topic and message, made from the classes.

`python -m shared.contracts.asyncapi` writes docs/asyncapi.json.
"""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from shared.contracts.message import Message
from shared.contracts.registry import MESSAGES, topic_messages
from shared.contracts.topics import DEAD_LETTERS_SUFFIX, TOPICS, Topic

WRITTEN_TO = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.json"

# DESIGN section 3: who writes each topic, and what its records are keyed by.
_WRITERS = {
    "renewals.v1": ("renewal", "subscription_id"),
    "prices.v1": ("catalog", "subscription_id"),
    "payments.v1": ("payment", "subscription_id"),
    "topups.v1": ("provisioning", "subscription_id"),
    "payment-commands.v1": ("renewal", "subscription_id"),
    "topup-commands.v1": ("renewal", "subscription_id"),
    "quotas.v1": ("usage", "subscription_id"),
    "devices.v1": ("usage", "subscription_id"),
    "subscriptions.v1": ("provisioning", "subscription_id"),
    "customers.v1": ("portal", "customer_id"),
    "payment-methods.v1": ("payment", "payment_method_id"),
    "offerings.v1": ("catalog", "offering_id"),
    "renewal-rules.v1": ("renewal", "subscription_id"),
    "renewal-requests.v1": ("other systems", "subscription_id"),
    "usage-records.v1": ("other systems", "iccid"),
}

_TEXT = {"type": "string"}


def document() -> dict[str, Any]:
    """The whole document as JSON values; the same for the same classes."""
    topics = [topic for topic in TOPICS if not topic.name.endswith(DEAD_LETTERS_SUFFIX)]
    _, definitions = models_json_schema(
        [(message, "serialization") for message in MESSAGES.values()],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Recarga messages",
            "version": "1",
            "description": "Values are JSON in UTF-8; attributes are CloudEvents 1.0 headers (Kafka binary "
            "mode). Unknown fields are ignored, unknown types skipped. Order is usual, never promised: not "
            "between topics and not within one. A record that cannot be read goes to `<topic>.dead-letters` "
            "as it came.",
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": {f"write-{topic.name}": _operation(topic) for topic in topics},
        "components": {
            "messages": {name: _message(message) for name, message in MESSAGES.items()},
            "schemas": definitions["$defs"],
        },
    }


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _channel(topic: Topic) -> dict[str, Any]:
    writer, key = _WRITERS[topic.name]
    configuration: dict[str, Any] = {"cleanup.policy": ["compact" if topic.compacted else "delete"]}
    if not topic.compacted:
        configuration["retention.ms"] = int(topic.retention.total_seconds() * 1000)
    return {
        "address": topic.name,
        "description": f"Written by {writer}, keyed by {key}.",
        "messages": {
            message.__name__: {"$ref": f"#/components/messages/{message.__name__}"}
            for message in topic_messages(topic.name)
        },
        "bindings": {
            "kafka": {"topic": topic.name, "topicConfiguration": configuration, "bindingVersion": "0.5.0"}
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    writer, _ = _WRITERS[topic.name]
    channel = f"#/channels/{topic.name}"
    return {
        "action": "send",
        "summary": f"Only {writer} may write here.",
        "channel": {"$ref": channel},
        "messages": [
            {"$ref": f"{channel}/messages/{message.__name__}"} for message in topic_messages(topic.name)
        ],
    }


def _message(message: type[Message]) -> dict[str, Any]:
    _, key = _WRITERS[message.topic]
    name = message.__name__
    return {
        "name": name,
        "title": name,
        "summary": (message.__doc__ or "").strip(),
        "contentType": "application/json",
        "headers": _headers(name),
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {"kafka": {"key": {**_TEXT, "description": key}, "bindingVersion": "0.5.0"}},
    }


def _headers(ce_type: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["ce_id", "ce_type", "ce_source", "ce_time", "ce_subject"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {**_TEXT, "format": "uuid", "description": "The same message always has the same id."},
            "ce_type": {"const": ce_type},
            "ce_source": {**_TEXT, "description": "The service that wrote it."},
            "ce_time": {**_TEXT, "format": "date-time"},
            "ce_subject": {
                **_TEXT,
                "description": "The renewal id where there is a renewal, otherwise the key.",
            },
            "traceparent": {**_TEXT, "description": "W3C Trace Context."},
        },
    }


if __name__ == "__main__":
    WRITTEN_TO.write_text(text(), encoding="utf-8")
