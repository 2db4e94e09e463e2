"""A slow and obvious model of buckets, burn and triggers: bytes, lists, fractions; no code of the service."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

WINDOW = 3 * 3600
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Heap:
    """Bytes that lapse together, in the `place`-th group of the queue. Before they `came` nobody had them."""

    name: str
    cycle: int
    place: int
    here: int
    came: datetime
    lapses: datetime
    seen: int
    """How many bytes had been taken, of any heap, when it came."""


@dataclass
class World:
    """What one subscriber has. Top-ups come in the order of their cycles."""

    owes: bool
    late: timedelta
    heaps: list[Heap] = field(default_factory=list)
    granted: int = 0
    overrun: int = 0
    owed: int = 0
    taken: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Every byte: when its heap had come, and when its use had ended."""
    burnt: list[tuple[datetime, int]] = field(default_factory=list)
    said: set[str] = field(default_factory=set)

    def use(self, size: int, began: datetime, ended: datetime) -> None:
        for _ in range(size):
            usable = [
                heap
                for heap in self.heaps
                if heap.here and heap.lapses > began and (self.owes or self.is_due(heap, ended))
            ]
            if usable:
                heap = in_their_order(usable)[0]
                heap.here -= 1
                self.taken.append((heap.came, ended))
            else:
                self.overrun += 1
                self.owed += self.owes
        self.burnt.append((ended, size))

    def is_due(self, heap: Heap, ended: datetime) -> bool:
        """Of a heap that came later, only what belongs to earlier use: more of before was used since."""
        if all(each.came > ended for each in self.heaps):
            return False  # nobody remembers what was before
        between = [each for each in self.heaps if ended < each.came <= heap.came]
        return all(self.used_of_before(each) > 0 for each in between)

    def used_of_before(self, heap: Heap) -> int:
        """Bytes of older heaps that were used in its time, less those that went the other way."""
        since = self.taken[heap.seen :]
        there = sum(came < heap.came <= ended for came, ended in since)
        return there - sum(ended < heap.came <= came for came, ended in since)

    def top_up(
        self, cycle: int, size: int, stacking: str, lasts: timedelta, now: datetime, *, is_stated: bool
    ) -> None:
        """It `lasts` from now on as the carrier says, or as it was sold: after all that is left."""
        place = cycle
        if stacking == "replace":
            self.heaps = []
        lapses = now
        for heap in self.heaps:
            if heap.here and heap.lapses > lapses and not is_stated:
                lapses = heap.lapses
        lapses += lasts
        if stacking == "extend" and self.heaps:
            place = max(heap.place for heap in self.heaps)
            for heap in self.heaps:
                if heap.lapses > now:
                    heap.lapses = max(heap.lapses, lapses)
        self.heaps.append(Heap(f"top-up-{cycle}", cycle, place, size, now, lapses, len(self.taken)))
        while self.owed and self.heaps[-1].here:
            self.owed -= 1
            self.heaps[-1].here -= 1
        self.granted = size
        self.said = set()
        self.heaps = [
            heap
            for heap in self.heaps
            if (heap.here or heap.cycle == cycle) and heap.lapses + self.late > now
        ]

    def left(self, now: datetime) -> int:
        return sum(heap.here for heap in self.heaps if heap.lapses > now)

    def rate(self, now: datetime) -> int:
        """Bytes in a window that slides: all of the newest fixed one, and its share of the one before."""
        if not self.burnt:
            return 0
        newest = max(window_of(at) for at, _ in self.burnt)
        sums = [sum(size for at, size in self.burnt if window_of(at) == newest - back) for back in (0, 1)]
        here, elapsed = window_of(now), seconds_of(now) % WINDOW
        share = Fraction(WINDOW - elapsed, WINDOW)
        if here == newest:
            return sums[0] + int(sums[1] * share)
        if here == newest + 1:
            return int(sums[0] * share)
        return sums[0] if here < newest else 0

    def ends_at(self, now: datetime) -> datetime | None:
        """When nothing is left at that rate, to the whole second before."""
        rate = self.rate(now)
        if not rate:
            return None
        return now + timedelta(seconds=int(Fraction(self.left(now) * WINDOW, rate)))

    def hold(self, now: datetime, percent: int, predicted: int, expiring: int) -> set[str]:
        """The kinds of trigger that hold now."""
        if not self.granted:
            return set()
        left, kinds = self.left(now), set()
        if left <= int(Fraction(self.granted * percent, 100)):
            kinds.add("threshold_reached")
        if not left:
            return kinds | {"exhausted"}
        ends_at = self.ends_at(now)
        if ends_at is not None and (ends_at - now).total_seconds() <= predicted:
            kinds.add("predicted")
        lapses = max(heap.lapses for heap in self.heaps if heap.here and heap.lapses > now)
        if (lapses - now).total_seconds() <= expiring:
            kinds.add("expiring")
        return kinds

    def news(self, now: datetime, percent: int, predicted: int, expiring: int) -> set[str]:
        """The kinds that hold and were not said in this cycle."""
        new = self.hold(now, percent, predicted, expiring) - self.said
        self.said |= new
        return new


def in_their_order(heaps: list[Heap]) -> list[Heap]:
    """As they are used up."""
    return sorted(heaps, key=lambda heap: (heap.place, heap.lapses, heap.name))


def seconds_of(at: datetime) -> int:
    return int((at - EPOCH).total_seconds() // 1)


def window_of(at: datetime) -> int:
    return seconds_of(at) // WINDOW
