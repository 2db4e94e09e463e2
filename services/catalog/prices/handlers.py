"""Prices renewals: no row is written, the answer follows from the request and the price list."""

from collections.abc import Sequence

from services.catalog import metrics
from services.catalog.prices.current import CurrentPriceList
from services.catalog.prices.domain.price_list import PriceList
from services.catalog.prices.domain.pricing import MAY_BE_TOO_NEW, price_renewal
from shared.contracts.prices import RenewalPriced, RenewalRejected
from shared.messaging.handling import Sender
from shared.messaging.received import Received

Answer = RenewalPriced | RenewalRejected


class PriceRenewals:
    """renewals.v1: every RenewalRequested is answered, the same one always with the same bytes."""

    def __init__(self, current: CurrentPriceList) -> None:
        self._current = current

    async def __call__(self, sender: Sender, batch: Sequence[Received]) -> None:
        price_list = self._current.now_known
        answers = [price_renewal(received.message, price_list) for received in batch]
        if any(map(_needs_newest, answers, batch, [price_list] * len(batch))):
            # Should this fail, the batch comes again: nobody is rejected because a database was away.
            await self._current.refresh()
            price_list = self._current.now_known
            answers = [price_renewal(received.message, price_list) for received in batch]
            metrics.AHEAD.inc(sum(each.message.requested_at > price_list.known_until for each in batch))
        for received, answer in zip(batch, answers, strict=True):
            sender.send(answer, received.traceparent)
        _measure(answers)


def _needs_newest(answer: Answer, received: Received, price_list: PriceList) -> bool:
    """Whether a change that this process has not seen yet could make the answer another."""
    if received.message.requested_at > price_list.known_until:
        return True
    return isinstance(answer, RenewalRejected) and answer.reason in MAY_BE_TOO_NEW


def _measure(answers: Sequence[Answer]) -> None:
    priced = 0
    for answer in answers:
        if isinstance(answer, RenewalPriced):
            priced += 1
        else:
            metrics.REJECTED(answer.reason).inc()
    metrics.PRICED.inc(priced)
