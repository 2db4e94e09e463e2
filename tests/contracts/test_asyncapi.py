"""The AsyncAPI document that is committed is the one that the classes make."""

import json
from typing import Any

from shared.contracts import MESSAGES, asyncapi
from shared.contracts.topics import TOPICS


def test_the_committed_document_is_up_to_date() -> None:
    hint = "run `python -m shared.contracts.asyncapi` and commit docs/asyncapi.json"
    assert asyncapi.WRITTEN_TO.read_text(encoding="utf-8") == asyncapi.text(), hint


def test_every_topic_is_a_channel_and_every_message_is_on_one() -> None:
    document = asyncapi.document()
    assert set(document["channels"]) == {topic.name for topic in TOPICS if "dead-letters" not in topic.name}
    assert sorted(
        name for channel in document["channels"].values() for name in channel["messages"]
    ) == sorted(MESSAGES)
    assert all(message["summary"] for message in document["components"]["messages"].values())


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return found + [one for item in value.values() for one in references(item)]
        return [one for item in value for one in references(item)] if isinstance(value, list) else []

    found = references(document)
    assert len(found) > 3 * len(MESSAGES)
    for reference in found:
        target: Any = document
        for segment in reference.removeprefix("#/").split("/"):
            target = target[segment]
        assert target
    assert json.loads(asyncapi.text()) == document
