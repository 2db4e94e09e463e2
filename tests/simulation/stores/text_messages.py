"""services/renewal/text_messages/store.py where no gateway is: none of its messages ever comes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from services.renewal.text_messages import store


async def forget(_connection: Any, before: datetime, limit: int) -> None:
    """There are none: not even a statement that could meet another."""


FUNCTIONS: Final = {store: {"forget": forget}}
NOT_ASKED: Final = {
    store: {
        "upsert_numbers",
        "begin",
        "read",
        "settle",
        "lock_holders",
        "count_asked",
        "list_replies",
    }
}
"""Functions that only HTTP needs, and the projection of subscriptions, which is not simulated."""
