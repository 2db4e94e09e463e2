"""The burst breaker: how many automatic renewals may begin within a window, and what is full."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from services.renewal.domain.charge_stop import EVERYWHERE, ChargeStop, scope_of

BREAKER: Final = "breaker"
"""Stands as whoever stopped the charges, and as the reason of what is kept for it."""

_BUCKETS: Final = 10


BurstKind = Literal["everywhere", "brand", "subscription"]
"""Carriers are not counted: their own rate limits are in the way of a runaway there."""


class BurstLimit(NamedTuple):
    """At most so many automatic renewals begin within any so many seconds."""

    renewals: int
    window_seconds: int

    def bucket(self, now: datetime) -> datetime:
        """The beginning of the part of the window in which those of `now` are counted."""
        seconds = max(1, self.window_seconds // _BUCKETS)
        return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)

    def since(self, now: datetime) -> datetime:
        """Buckets that began no earlier count: the window, and at most one bucket more."""
        return self.bucket(now) - timedelta(seconds=self.window_seconds)


class BurstLimits(NamedTuple):
    """One for every scope of the breaker. Beyond the sizing case's worst month end, far below a runaway."""

    subscription: BurstLimit = BurstLimit(50, 86_400)
    brand: BurstLimit = BurstLimit(120_000, 300)
    everywhere: BurstLimit = BurstLimit(180_000, 300)

    def of(self, kind: BurstKind) -> BurstLimit:
        found: BurstLimit = getattr(self, kind)
        return found


BURSTS: Final = BurstLimits()


class Seen(NamedTuple):
    """What was counted of one scope before, and who stopped its charges; None: nobody."""

    renewals: int = 0
    stopped_by: str | None = None


class Place(NamedTuple):
    """Where a trigger's renewal counts."""

    subscription_id: str
    brand: str

    @property
    def scopes(self) -> tuple[tuple[BurstKind, str, str | None], ...]:
        """Kind, scope and name, the widest first."""
        return (
            ("everywhere", EVERYWHERE, None),
            ("brand", scope_of("brand", self.brand), self.brand),
            ("subscription", scope_of("subscription", self.subscription_id), self.subscription_id),
        )


class Trip(NamedTuple):
    """A scope in which more would have begun, or did begin, than its limit allows."""

    kind: BurstKind
    name: str | None
    counted: int
    limit: BurstLimit

    @property
    def why(self) -> str:
        return (
            f"{self.counted} automatic renewals within {self.limit.window_seconds} s, "
            f"and no more than {self.limit.renewals} may begin."
        )

    def stop(self, now: datetime) -> ChargeStop:
        return ChargeStop(scope_of(self.kind, self.name), self.kind, self.name, BREAKER, now, self.why)


class Tally:
    """What one batch begins, counted on top of what was counted before it."""

    def __init__(self, limits: BurstLimits, seen: Mapping[str, Seen]) -> None:
        self._limits = limits
        self._seen = seen
        self._begun: Counter[str] = Counter()
        self._places: dict[str, Place] = {}
        self._kinds: dict[str, tuple[BurstKind, str | None]] = {}
        self._trips: dict[str, Trip] = {}

    def is_tripped(self, scope: str | None) -> bool:
        """Whether it was the breaker that stopped this scope."""
        return scope is not None and self._seen.get(scope, Seen()).stopped_by == BREAKER

    def full(self, place: Place) -> Trip | None:
        """The widest scope that has no room for one more: from now on it is stopped."""
        for kind, scope, name in place.scopes:
            limit = self._limits.of(kind)
            counted = self._counted(scope)
            if counted >= limit.renewals:
                return self._trips.setdefault(scope, Trip(kind, name, counted, limit))
        return None

    def take(self, place: Place) -> None:
        """One more begins there; more than one of a subscription never does in one batch."""
        self._places[place.subscription_id] = place
        for kind, scope, name in place.scopes:
            self._begun[scope] += 1
            self._kinds[scope] = kind, name

    def give_back(self, subscription_ids: Iterable[str]) -> None:
        """Theirs did not begin after all: somebody else had the slot."""
        for subscription_id in subscription_ids:
            for _, scope, _ in self._places[subscription_id].scopes:
                self._begun[scope] -= 1

    def rows(self, now: datetime) -> list[tuple[str, datetime, int, datetime]]:
        """What to count as (scope, bucket, renewals, since), in key order. A subscription has its rows."""
        found = []
        for scope, begun in sorted(self._begun.items()):
            kind, _ = self._kinds[scope]
            if begun and kind != "subscription":
                limit = self._limits.of(kind)
                found.append((scope, limit.bucket(now), begun, limit.since(now)))
        return found

    def trips(self, totals: Mapping[str, int]) -> list[Trip]:
        """What to stop, in key order; `totals` as counted, with what others counted meanwhile."""
        trips = dict(self._trips)
        for scope, counted in totals.items():
            kind, name = self._kinds[scope]
            limit = self._limits.of(kind)
            if counted > limit.renewals:
                trips.setdefault(scope, Trip(kind, name, counted, limit))
        return [trips[scope] for scope in sorted(trips)]

    def _counted(self, scope: str) -> int:
        return self._seen.get(scope, Seen()).renewals + self._begun[scope]
