"""What is counted of text messages. Label children are made once; ids are never labels."""

from typing import Final

from prometheus_client import Counter

from services.renewal.text_messages.domain.reply import OUTCOMES
from shared.observability.metrics import children

NOT_TAKEN: Final = ("repeated", "reused", "forged", "stale", "too_large")
"""A message that came before, with the same contents or with others; one that was not even read."""

_REPLIES = Counter(
    "recarga_renewal_text_messages_total", "Replies by text message, by what came of them", ["outcome"]
)
replies: Final = children(_REPLIES)
for _outcome in (*OUTCOMES, *NOT_TAKEN):
    replies(_outcome)  # exported from the start: a rate needs its zero
