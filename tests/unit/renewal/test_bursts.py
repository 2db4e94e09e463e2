"""The burst breaker: what is counted, when a scope is full, and what is told of it."""

from datetime import timedelta

import pytest

from services.renewal.bursts import judged
from services.renewal.domain.admission import Admitted, Kept
from services.renewal.domain.burst import BURSTS, BurstLimit, BurstLimits, Place, Seen, Tally
from services.renewal.domain.charge_stop import stopping
from tests.unit.renewal.rules.given import TRIGGER, pull
from tests.unit.renewal.story import T0

LIMITS = BurstLimits(BurstLimit(2, 600), BurstLimit(3, 100), BurstLimit(5, 100))
HERE = Place("sub-1", "ola")


def test_a_bucket_is_a_tenth_of_its_window_and_the_window_reaches_back_in_full() -> None:
    limit = BurstLimit(1, 100)
    bucket = limit.bucket(T0)
    assert bucket <= T0 < bucket + timedelta(seconds=10)
    assert limit.since(T0) == bucket - timedelta(seconds=100)
    assert [limit.bucket(T0 + timedelta(seconds=later)) for later in (9.9, 10, 17)] == [
        T0,
        T0 + timedelta(seconds=10),
        T0 + timedelta(seconds=10),
    ]
    assert BurstLimit(1, 5).bucket(T0 + timedelta(seconds=1.7)) == T0 + timedelta(seconds=1), (
        "a second at least"
    )


@pytest.mark.parametrize(
    ("seen", "scope"),
    [
        ({"everywhere": Seen(5), "brand ola": Seen(3), "subscription sub-1": Seen(2)}, "everywhere"),
        ({"everywhere": Seen(4), "brand ola": Seen(3), "subscription sub-1": Seen(2)}, "brand ola"),
        ({"everywhere": Seen(4), "brand ola": Seen(2), "subscription sub-1": Seen(2)}, "subscription sub-1"),
    ],
)
def test_the_widest_scope_that_is_full_trips(seen: dict[str, Seen], scope: str) -> None:
    tally = Tally(LIMITS, seen)
    answer = judged(tally, TRIGGER, HERE, pull())
    assert answer == Kept(TRIGGER._replace(held_by=scope), "breaker", f"Stopped: {scope}.")
    [trip] = tally.trips({})
    stop = trip.stop(T0)
    assert (stop.scope, stop.stopped_by, stop.stopped_at) == (scope, "breaker", T0)
    assert f"{trip.counted} automatic renewals within {trip.limit.window_seconds} s" in stop.why


def test_below_every_limit_nothing_trips_and_all_is_counted() -> None:
    tally = Tally(LIMITS, {"everywhere": Seen(4), "brand ola": Seen(2), "subscription sub-1": Seen(1)})
    assert isinstance(judged(tally, TRIGGER, HERE, pull()), Admitted)
    rows = tally.rows(T0)
    assert [(scope, begun) for scope, _, begun, _ in rows] == [("brand ola", 1), ("everywhere", 1)]
    assert rows[0][1] == LIMITS.brand.bucket(T0)
    assert rows[0][3] == LIMITS.brand.since(T0)
    assert tally.trips({"brand ola": 3, "everywhere": 5}) == []


def test_one_batch_is_counted_exactly() -> None:
    tally = Tally(LIMITS, {})
    places = [Place(f"sub-{number}", "ola") for number in range(5)]
    answers = [judged(tally, TRIGGER, place, pull()) for place in places]
    assert [type(answer) for answer in answers] == [Admitted] * 3 + [Kept] * 2
    assert [trip.name for trip in tally.trips({})] == ["ola"], "told once"
    assert isinstance(judged(tally, TRIGGER, Place("sub-9", "alo"), pull()), Admitted)


def test_whoever_lost_the_slot_is_not_counted() -> None:
    tally = Tally(LIMITS, {"brand ola": Seen(2)})
    judged(tally, TRIGGER, HERE, pull())
    tally.give_back(["sub-1"])
    assert tally.rows(T0) == []
    assert isinstance(judged(tally, TRIGGER, HERE, pull()), Admitted)


def test_what_others_counted_meanwhile_trips_it_too() -> None:
    tally = Tally(LIMITS, {})
    judged(tally, TRIGGER, HERE, pull())
    [trip] = tally.trips({"brand ola": 3, "everywhere": 6})
    assert (trip.kind, trip.name, trip.counted) == ("everywhere", None, 6)


def test_what_is_refused_or_waits_is_not_counted() -> None:
    tally = Tally(LIMITS, {"everywhere": Seen(9)})
    paused = pull(open_renewal_id=TRIGGER.renewal_id)
    assert judged(tally, TRIGGER, HERE, paused) is paused
    assert (tally.rows(T0), tally.trips({})) == ([], [])


def test_a_stop_tells_whether_a_person_or_the_breaker_made_it() -> None:
    tally = Tally(LIMITS, {"brand ola": Seen(0, "breaker"), "everywhere": Seen(0, "ana")})
    by_breaker = judged(tally, TRIGGER, HERE, pull(charges_stopped=["brand ola"]))
    assert isinstance(by_breaker, Kept)
    assert (by_breaker.reason, by_breaker.trigger.held_by) == ("breaker", "brand ola")
    by_ana = judged(tally, TRIGGER, HERE, pull(charges_stopped=["everywhere"]))
    assert isinstance(by_ana, Kept)
    assert by_ana.reason == "charges_stopped"


def test_one_subscription_is_stopped_alone() -> None:
    assert stopping(["subscription sub-1"], "ola", "cubacel", "sub-1") == "subscription sub-1"
    assert stopping(["subscription sub-1"], "ola", "cubacel", "sub-2") is None
    assert isinstance(pull(charges_stopped=[f"subscription {TRIGGER.subscription_id}"]), Kept)
    assert isinstance(pull(charges_stopped=["subscription another"]), Admitted)


def test_the_usual_limits_bear_a_carriers_worst_hour() -> None:
    assert BURSTS.everywhere.renewals / BURSTS.everywhere.window_seconds >= 300
    assert BURSTS.brand.renewals / BURSTS.brand.window_seconds >= 300
