"""Every message that services exchange (DESIGN section 3), one file per topic."""

from shared.contracts.registry import MESSAGES, message_class, topic_messages

__all__ = ["MESSAGES", "message_class", "topic_messages"]
