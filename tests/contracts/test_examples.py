"""Golden examples: what is on the topics today must be readable, and mean the same, tomorrow."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.contracts import MESSAGES, message_class
from shared.contracts.checks import eid_is_valid, luhn_is_valid
from shared.contracts.message import Message
from shared.contracts.subscriptions import SubscriptionChanged

HERE = Path(__file__).parent
EVERY_MESSAGE = pytest.mark.parametrize("message", MESSAGES.values(), ids=list(MESSAGES))
Example = Callable[[type[Message]], dict[str, Any]]


def compact(values: dict[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def test_there_is_one_example_per_message_and_no_other_file() -> None:
    files = {
        path.relative_to(HERE / "examples").as_posix()
        for path in (HERE / "examples").rglob("*")
        if path.is_file()
    }
    assert files == {f"{message.topic}/{name}.json" for name, message in MESSAGES.items()}


@EVERY_MESSAGE
def test_an_example_is_read_and_written_again_letter_by_letter(
    message: type[Message], example: Example
) -> None:
    values = example(message)
    assert message.model_validate_json(compact(values)).model_dump_json() == compact(values)


@EVERY_MESSAGE
def test_unknown_fields_are_ignored_at_every_level(message: type[Message], example: Example) -> None:
    def with_more(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: with_more(item) for name, item in value.items()} | {"from_the_future": {"x": [1]}}

    values = example(message)
    read = message.model_validate_json(compact(with_more(values)))
    assert read.model_dump_json() == compact(values)


@EVERY_MESSAGE
def test_ids_keys_and_subjects_are_what_they_always_were(message: type[Message], example: Example) -> None:
    recorded = json.loads((HERE / "event_ids.json").read_text(encoding="utf-8"))
    read = message.model_validate_json(compact(example(message)))
    now = {"event_id": str(read.event_id), "key": read.key, "subject": read.subject}
    assert now == recorded[message.__name__]


def test_every_message_has_an_id_of_its_own() -> None:
    recorded = json.loads((HERE / "event_ids.json").read_text(encoding="utf-8"))
    assert sorted(recorded) == sorted(MESSAGES)
    assert len({entry["event_id"] for entry in recorded.values()}) == len(recorded)


@EVERY_MESSAGE
def test_a_type_is_read_on_its_own_topic_only(message: type[Message]) -> None:
    assert message_class(message.topic, message.__name__) is message
    assert message_class("elsewhere.v1", message.__name__) is None
    assert message_class(message.topic, message.__name__ + "Event") is None


def test_the_numbers_in_the_examples_are_valid_ones() -> None:
    seen = set()
    for path in (HERE / "examples").rglob("*.json"):
        for name, value in json.loads(path.read_text(encoding="utf-8")).items():
            if name in ("iccid", "imei", "bound_imei"):
                assert luhn_is_valid(value), path
                seen.add(name)
            if name == "eid":
                assert eid_is_valid(value), path
                seen.add(name)
    assert seen == {"iccid", "imei", "bound_imei", "eid"}


def test_a_subscription_from_before_numbers_is_still_read(example: Example) -> None:
    values = example(SubscriptionChanged)
    del values["msisdn"]
    read = SubscriptionChanged.model_validate_json(compact(values))
    assert read.msisdn is None
    assert "msisdn" not in read.model_fields_set
