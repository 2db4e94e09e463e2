"""Deliberate defects in the services, made in memory: each must be caught by a promise that breaks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from services.payment.domain import outcomes
from services.renewal.domain import endings
from shared.messaging.outbox import Outbox

Replaced = list[tuple[Any, str, Any]]
"""Owner, name, and what stands there instead."""


@contextmanager
def made(name: str | None) -> Iterator[None]:
    """The services with the defect of that name in them; None: as they are."""
    with ExitStack() as undone:
        for owner, member, replacement in DEFECTS[name]() if name is not None else ():
            undone.enter_context(patch.object(owner, member, replacement))
        yield


def _drop_the_fence() -> Replaced:
    """A worker that lost its lease is believed, also where it brings a negative answer."""
    fold = outcomes.fold_outcome

    def unfenced(payment: Any, outcome: Any, now: Any, patience: Any) -> Any:
        if outcome.claim is not None:
            outcome = outcome._replace(claim=payment.claim, ordinal=payment.ordinal)
        return fold(payment, outcome, now, patience)

    return _everywhere(fold, unfenced)


def _refund_before_the_top_up_is_cancelled() -> Replaced:
    """The money goes back at once, while the carrier may still grant the data."""

    def at_once(renewal: Any, reason: str, moment: Any, _detail: str | None = None) -> Any:
        return endings.refund(renewal, reason, moment)

    return _everywhere(endings.cancel_top_up, at_once)


def _forget_before_the_acknowledgement() -> Replaced:
    """An outbox row is deleted although Kafka has not acknowledged its events."""
    publish = Outbox.publish

    async def careless(self: Outbox, envelopes: Any, batch: Any) -> None:
        if batch is not None:
            self._acknowledged.append(batch)
        await publish(self, envelopes, batch)

    return [(Outbox, "publish", careless)]


def _everywhere(original: Callable[..., Any], replacement: Callable[..., Any]) -> Replaced:
    """In every module of the services that knows the function by a name of its own."""
    return [
        (module, name, replacement)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("services.")
        for name, member in list(vars(module).items())
        if member is original
    ]


DEFECTS: Final[dict[str, Callable[[], Replaced]]] = {
    "drop-the-fence": _drop_the_fence,
    "refund-early": _refund_before_the_top_up_is_cancelled,
    "forget-before-acknowledgement": _forget_before_the_acknowledgement,
}
