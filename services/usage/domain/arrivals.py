"""Usage records on their way in: what becomes of each one of a batch, whichever way it came."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args

from services.usage.domain.records import Bounds, Contents, Reason, RecordKey, contents, record_key, refusal
from shared.contracts.usage_records import UsageRecorded

Taken = Literal["counted", "duplicate", "unknown_iccid", "dropped"]
Result = Taken | Reason
"""`unknown_iccid`: kept, and counted once its subscription is known; `dropped`: too many were kept already,
so it must come again; a reason: it is quarantined."""
TAKEN: Final[tuple[Taken, ...]] = get_args(Taken)


class Arrived(NamedTuple):
    """A usage record that came over Kafka or HTTP."""

    record: UsageRecorded
    traceparent: str | None


class Batch:
    """Records in the order in which they arrived, and what becomes of each."""

    def __init__(self, arrived: Sequence[Arrived], bounds: Bounds, now: datetime) -> None:
        self.arrived = arrived
        self.results: list[Result] = ["counted"] * len(arrived)
        self.fresh: dict[RecordKey, Arrived] = {}
        """Those that may count: nothing says yet that they came before."""
        self.quarantined: list[tuple[RecordKey, Reason, UsageRecorded]] = []
        self._places: dict[RecordKey, int] = {}
        self._again: list[tuple[int, RecordKey]] = []
        for place, each in enumerate(arrived):
            self._sort(place, each, bounds, now)

    def compare(self, before: Mapping[RecordKey, Contents]) -> None:
        """Those that came `before`, or earlier in this batch, are repeats: true ones, or changed ones."""
        for key, first in before.items():
            del self.fresh[key]
            self._repeat(self._places[key], key, first)
        for place, key in self._again:
            self._repeat(place, key, before.get(key) or contents(self.arrived[self._places[key]].record))

    def keep(self, keys: Collection[RecordKey], *, has_room: bool) -> None:
        """Nobody knows yet whose these are: they are kept, or dropped where there is no room."""
        for key in keys:
            self.results[self._places[key]] = "unknown_iccid" if has_room else "dropped"
            if not has_room:
                del self.fresh[key]
        if not has_room:
            # A repeat of what was dropped is no duplicate of anything that is there.
            for place, key in self._again:
                if key in keys and self.results[place] == "duplicate":
                    self.results[place] = "dropped"

    def _sort(self, place: int, each: Arrived, bounds: Bounds, now: datetime) -> None:
        key = record_key(each.record)
        reason = refusal(each.record, bounds, now)
        if reason is not None:
            self._set_aside(place, key, reason)
        elif key in self.fresh:
            self._again.append((place, key))
        else:
            self.fresh[key] = each
            self._places[key] = place

    def _repeat(self, place: int, key: RecordKey, first: Contents) -> None:
        if first.is_repeated_by(contents(self.arrived[place].record)):
            self.results[place] = "duplicate"
        else:
            self._set_aside(place, key, "changed_repeat")

    def _set_aside(self, place: int, key: RecordKey, reason: Reason) -> None:
        self.results[place] = reason
        self.quarantined.append((key, reason, self.arrived[place].record))
