"""Who reads which messages, as the services' own wiring says: a new reader is in the tests by being there."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, cast

from pydantic import BaseModel, SecretStr

from services import NAMES
from shared.clock import utc_now
from shared.messaging.consumer import Consumer
from shared.messaging.transaction import Transactions

NOWHERE: Final = SecretStr("postgresql://nobody@nowhere/nothing")


def _consumers(service: str) -> list[Consumer]:
    """Those of a service that is put together and never started."""
    settings = import_module(f"services.{service}.settings").Settings(database_url=NOWHERE)
    unused = cast(Any, None)
    wired = import_module(f"services.{service}.wiring").build(settings, Transactions(unused, unused, utc_now))
    return list(wired.consumers)


READERS: Final[dict[str, Consumer]] = {
    f"{service}.{consumer.name}": consumer for service in NAMES for consumer in _consumers(service)
}
"""By the name of their group, `<service>.<consumer>`."""


def readers_of(topic: str) -> tuple[str, ...]:
    """Everybody to whom every record of that topic comes."""
    return tuple(name for name, consumer in READERS.items() if topic in consumer.topics)


def wanted_on(topic: str) -> dict[type[BaseModel], tuple[str, ...]]:
    """The messages of that topic which somebody decodes, and who does."""
    wanted: dict[type[BaseModel], tuple[str, ...]] = {}
    for name in readers_of(topic):
        for message in READERS[name].messages:
            if cast(Any, message).topic == topic:
                wanted[message] = (*wanted.get(message, ()), name)
    return wanted
