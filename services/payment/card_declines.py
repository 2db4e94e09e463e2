"""What this process has just heard of cards, for the calls that wait in it: they were judged before that.

A payer may have thousands of subscriptions on one card, all claimed before its first decline is written.
Whatever is claimed later is judged by the rows; what waits here is judged again just before it is sent.
That takes no statement, and of a card without declines no more than a look into a dict.
"""

import time
from dataclasses import dataclass, replace
from datetime import timedelta

from services.payment.domain.calls import Call
from services.payment.domain.network_caps import FOR_EVER, MOST_DECLINES, cap_refusal, is_counted, is_final
from shared.clock import Clock

KEPT_SECONDS = 60.0
"""Longer than a claimed call may wait to be sent and a decline to be written: then the rows tell."""
MOST_CARDS = 10_000
"""Of more than these the one that was declined longest ago is forgotten early."""


@dataclass(slots=True)
class _Heard:
    """The latest declines of a card, by this process's monotonic clock."""

    latest: list[float]
    is_final: bool = False


class CardDeclines:
    """Declines by the token that was tried, as long as a call may be waiting that knows nothing of them."""

    def __init__(self, send_window: timedelta, clock: Clock) -> None:
        self._window_seconds = send_window.total_seconds()
        self._clock = clock
        # In the order of their last decline.
        self._heard: dict[str, _Heard] = {}

    def heard(self, call: Call, code: str) -> None:
        """A gateway declined the call by this code."""
        if call.token is None or not is_counted(code):
            return
        at = time.monotonic()
        self._forget(at - KEPT_SECONDS)
        card = self._heard.pop(call.token, None) or _Heard([])
        card.latest = [*card.latest, at][-MOST_DECLINES:]
        card.is_final |= is_final(code)
        self._heard[call.token] = card

    def refusal(self, call: Call) -> str | None:
        """The decline code under which the call is not sent; None where it may be."""
        method = call.method
        if method is None:
            return None
        now = self._clock()
        card = self._heard.get(call.token or "")
        if card is not None and card.latest[-1] >= time.monotonic() - KEPT_SECONDS:
            claimed = call.send_until - self._window_seconds
            unknown = [now for at in card.latest if at > claimed]
            never = [FOR_EVER] if card.is_final else []
            method = replace(method, declined_at=(*never, *unknown, *method.declined_at))
        return cap_refusal(method, call.renewal_id, now) if method.declined_at else None

    def _forget(self, before: float) -> None:
        while self._heard:
            token, card = next(iter(self._heard.items()))
            if card.latest[-1] >= before and len(self._heard) < MOST_CARDS:
                return
            del self._heard[token]
