"""What can go wrong with a message, told apart by what must happen next."""

import asyncpg
from aiokafka.errors import KafkaError


class DomainError(Exception):
    """This message can never be handled: its key is set aside, everything else goes on."""


class PublishFailed(Exception):
    """Kafka did not acknowledge in time. What was to be published may or may not be there."""


_BAD_VALUE_CLASSES = ("22", "23")
_TRANSIENT = (asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError, PublishFailed, OSError)


def is_poison(error: Exception) -> bool:
    """Whether repeating the work cannot help: the message itself breaks it.

    Everything that is not a fault of PostgreSQL, Kafka or the network counts: a defect in our code that
    one message brings out must not hold up the others.
    """
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in _BAD_VALUE_CLASSES
    return not isinstance(error, _TRANSIENT)


def is_conflict(error: Exception) -> bool:
    """Whether two transactions met and the same work will succeed when it is done again."""
    return isinstance(error, asyncpg.SerializationError | asyncpg.DeadlockDetectedError)
