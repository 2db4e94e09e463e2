"""What an older version has written into Kafka, this one reads: nothing of it is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.contracts.registry import message_class
from shared.messaging.received import Decoder, Received
from tests.rolling.recorded import KeptRecord, examples, messages, types, versions

KEPT = [
    pytest.param(record, id=f"{version}-{record.topic}-{record.type}-{place}")
    for version in versions()
    for place, record in enumerate(messages(version) + examples(version))
]


class Consumed:
    """A kept record as a consumer gets it."""

    partition, offset, timestamp = 0, 0, 0

    def __init__(self, kept: KeptRecord) -> None:
        self.topic, self.key, self.value, self.headers = kept.topic, kept.key, kept.value, kept.headers


@pytest.mark.parametrize("kept", KEPT)
def test_every_field_of_an_old_message_is_still_read(kept: KeptRecord) -> None:
    known = message_class(kept.topic, kept.type)
    assert known is not None, "the type is no longer known"
    read = Decoder([known], message_class).decode(Consumed(kept))
    assert isinstance(read, Received), read
    assert kept.value is not None
    assert missing(json.loads(kept.value), json.loads(read.message.model_dump_json())) == []


@pytest.mark.parametrize("version", versions())
def test_every_type_of_the_older_version_has_a_record(version: str) -> None:
    kept = {f"{record.topic}/{record.type}" for record in messages(version) + examples(version)}
    assert sorted(kept) == types(version)


@pytest.mark.parametrize("version", versions())
def test_an_example_stands_only_where_the_run_left_no_record(version: str) -> None:
    left = {record.type for record in messages(version)}
    assert [record.type for record in examples(version) if record.type in left] == []


def missing(old: Any, new: Any, at: str = "") -> list[str]:
    """The places of the old value that the new one lacks or says differently."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [place for name in old for place in missing(old[name], new.get(name), f"{at}.{name}")]
    return [] if old == new else [f"{at}: {old!r} became {new!r}"]
