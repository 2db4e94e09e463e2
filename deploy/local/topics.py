"""Makes the topics in Kafka as the contract describes them; those that are there are left as they are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.errors import LocalStackError
from shared.contracts.topics import DEAD_LETTERS_SUFFIX

TOPIC_ALREADY_EXISTS = 36
TIMEOUT_MS = 30_000


class TopicLayout(Protocol):
    """What a topic of shared/contracts/topics.py tells about itself."""

    @property
    def name(self) -> str: ...
    @property
    def compacted(self) -> bool: ...
    @property
    def retention(self) -> timedelta: ...


def _layout(topic: TopicLayout, partitions: int) -> NewTopic:
    # Whatever others compress with, Kafka stores it uncompressed: our reader knows no codec but gzip, and
    # would stop for ever at a record that it cannot uncompress.
    settings = {"compression.type": "uncompressed"}
    if topic.name.endswith(DEAD_LETTERS_SUFFIX):
        # The largest record that the topic itself takes must fit, with what is added to its headers.
        settings["max.message.bytes"] = str(2 * 1024 * 1024)
    if topic.compacted:
        settings["cleanup.policy"] = "compact"
    else:
        settings["retention.ms"] = str(int(topic.retention.total_seconds() * 1000))
    return NewTopic(topic.name, num_partitions=partitions, replication_factor=1, topic_configs=settings)


async def create_topics(bootstrap: str, topics: Iterable[TopicLayout], partitions: int) -> None:
    """Creates what is missing, all with the same number of partitions so that keys meet in joins.

    Raises LocalStackError with Kafka's reason for the first topic it refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=TIMEOUT_MS)
    await admin.start()
    try:
        answer = await admin.create_topics([_layout(topic, partitions) for topic in topics])
    finally:
        await admin.close()
    for name, code, *reason in answer.topic_errors:
        if code not in (0, TOPIC_ALREADY_EXISTS):
            raise LocalStackError(f"Kafka refused to make the topic {name}: {reason[0] if reason else code}")
