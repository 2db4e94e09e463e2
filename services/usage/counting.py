"""Usage comes down on the buckets, and triggers go out: for batches and for records that were kept."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from services.usage import metrics, store
from services.usage.domain.balance import Balance, Taken, consume
from services.usage.domain.burn import burn_record
from services.usage.domain.carrier import Carrier
from services.usage.domain.device import offended_binding
from services.usage.domain.triggers import Trigger, take_due
from shared.contracts.devices import ForeignDeviceSeen
from shared.messaging.transaction import Transaction

_CARRIERS_FOR: Final = timedelta(seconds=5)


class Use(NamedTuple):
    """Bytes of one subscription that flowed from `started_at` to `ended_at`."""

    balance: Balance
    size: int
    imei: str | None
    started_at: datetime
    ended_at: datetime
    traceparent: str | None = None


class Carriers:
    """How each carrier's subscriptions are counted. A change is known everywhere within 5 seconds."""

    def __init__(self, otherwise: Carrier) -> None:
        self._otherwise = otherwise
        self._known: Mapping[str, Carrier] = {}
        self._read_at: datetime | None = None

    def forget(self) -> None:
        """Read them anew before the next batch."""
        self._read_at = None

    async def read(self, transaction: Transaction) -> Callable[[Balance], Carrier]:
        """Whose settings a balance goes by."""
        if self._read_at is None or not timedelta() <= transaction.now - self._read_at < _CARRIERS_FOR:
            self._known = await store.read_carriers(transaction.connection)
            self._read_at = transaction.now
        known, otherwise = self._known, self._otherwise

        def carrier_of(balance: Balance) -> Carrier:
            carrier = known.get(balance.carrier or "", otherwise)
            return carrier if balance.rule_wants is None else _overruled(carrier, balance.rule_wants)

        return carrier_of


@lru_cache(maxsize=4096)
def _overruled(carrier: Carrier, rule_wants: tuple[int | None, ...]) -> Carrier:
    """The carrier's settings where a renewal rule wants to hear of other limits."""
    return replace(carrier, wants=carrier.wants.overruled_by(rule_wants), announces=carrier.wants)


async def count_use(
    transaction: Transaction, uses: Sequence[Use], carrier_of: Callable[[Balance], Carrier]
) -> list[Taken | None]:
    """Take each use from its locked balance, in the given order; say whose data runs out.

    What each one took; None where the carrier itself counts. One statement, and one more where there is
    something to say, however many uses there are.
    """
    if not uses:
        return []
    balances = {id(use.balance): use.balance for use in uses}.values()
    overrun_before = sum(balance.overrun_bytes for balance in balances)
    causes: dict[str, str | None] = {}
    taken = []
    for use in uses:
        causes[use.balance.subscription_id] = use.traceparent
        taken.append(_take(use, carrier_of(use.balance), transaction.now))
        bound = offended_binding(use.balance, use.imei, use.started_at)
        if use.imei is not None and bound is not None:
            _tell_device(transaction, use, use.imei, bound)
    said = [
        trigger
        for balance in balances
        for trigger in take_due(balance, transaction.now, carrier_of(balance).wants)
    ]
    await store.update_counts(transaction.connection, balances)
    await say(transaction, said, causes)
    size = sum(use.size for use in uses)
    overrun = sum(balance.overrun_bytes for balance in balances) - overrun_before
    transaction.after_commit(lambda: metrics.consumed(size, overrun))
    return taken


def _take(use: Use, carrier: Carrier, now: datetime) -> Taken | None:
    balance = use.balance
    is_reported = balance.reported_at is not None and use.ended_at <= balance.reported_at
    if carrier.counting == "records" or not is_reported:
        # Where the carrier counts, its report has told already how much was used by then.
        # A clock that is ahead must not leave all that comes until then out: nothing was used later than now.
        until = use.ended_at if use.ended_at < now else now
        balance.burn = burn_record(balance.burn, use.size, use.started_at, until)
    if carrier.counting != "records":
        balance.used_bytes += use.size
        return None
    if is_reported:
        # The carrier's word of a later moment was taken over: what was used by then is in it already.
        balance.used_bytes += use.size
        return Taken((), 0)
    return consume(balance, use.size, use.started_at, use.ended_at, owes_overrun=carrier.owes_overrun)


def _tell_device(transaction: Transaction, use: Use, imei: str, bound: str) -> None:
    use.balance.foreign_imei = imei
    seen = ForeignDeviceSeen(
        subscription_id=use.balance.subscription_id,
        bound_imei=bound,
        imei=imei,
        started_at=use.started_at,
        occurred_at=transaction.now,
    )
    transaction.send(seen, use.traceparent)
    transaction.after_commit(metrics.foreign_device)


async def say(
    transaction: Transaction, triggers: Collection[Trigger], causes: Mapping[str, str | None]
) -> None:
    """Send these triggers, and keep that they were said. `causes` are traces by subscription."""
    if not triggers:
        return
    await store.insert_triggers(transaction.connection, triggers, transaction.now)
    for trigger in triggers:
        transaction.send(trigger.message, causes.get(trigger.message.subscription_id))
    transaction.after_commit(lambda: _count(triggers))


def _count(triggers: Collection[Trigger]) -> None:
    for trigger in triggers:
        metrics.triggers(trigger.kind)
