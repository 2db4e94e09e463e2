"""From a topic and a type name to the class that reads it."""

from shared.contracts import (
    customers,
    devices,
    offerings,
    payment_commands,
    payment_methods,
    payments,
    prices,
    quotas,
    renewal_requests,
    renewal_rules,
    renewals,
    subscriptions,
    topup_commands,
    topups,
    usage_records,
)
from shared.contracts.message import Message

_MODULES = (
    renewals,
    prices,
    payments,
    topups,
    payment_commands,
    topup_commands,
    quotas,
    devices,
    subscriptions,
    customers,
    payment_methods,
    offerings,
    renewal_rules,
    renewal_requests,
    usage_records,
)


def _concrete(module: object) -> list[type[Message]]:
    return [
        member
        for member in vars(module).values()
        if isinstance(member, type)
        and issubclass(member, Message)
        and member.__module__ == getattr(module, "__name__", None)
        and not member.__subclasses__()
    ]


MESSAGES: dict[str, type[Message]] = {
    message.__name__: message for module in _MODULES for message in _concrete(module)
}
"""Every message by its CloudEvents type."""


def message_class(topic: str, ce_type: str) -> type[Message] | None:
    """The class of that type on that topic; None where the type is unknown or belongs elsewhere."""
    message = MESSAGES.get(ce_type)
    return message if message is not None and message.topic == topic else None


def topic_messages(topic: str) -> list[type[Message]]:
    """The messages that are written to a topic."""
    return [message for message in MESSAGES.values() if message.topic == topic]
