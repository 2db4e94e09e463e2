"""The gauges tell what the rows say, and the counters what happened."""

from datetime import timedelta

from prometheus_client import REGISTRY

from services.renewal.survey import Survey
from shared.clock import utc_now
from tests.integration.renewal.conftest import begun, known
from tests.integration.wired import Wired


def exported(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_the_survey_shows_open_renewals_and_money_without_data(renewal: Wired) -> None:
    await renewal.pool.execute("delete from renewals where closed_at is null")
    waiting, paid, parked = await begun(renewal, *await known(renewal, 3))
    await renewal.consume("saga", paid.priced(), paid.captured())
    await renewal.consume("saga", parked.priced(), parked.captured(), parked.undetermined())
    later = utc_now() + timedelta(minutes=7)
    await Survey(renewal.pool, lambda: later).take()
    assert exported("recarga_renewal_in_flight", state="requested") == 1
    assert exported("recarga_renewal_in_flight", state="captured") == 1
    assert exported("recarga_renewal_parked") == 1
    assert exported("recarga_renewal_captured_unapplied") == 1, "what is parked has an alert of its own"
    assert 415 < exported("recarga_renewal_captured_unapplied_oldest_seconds") < 430
    await renewal.consume("saga", waiting.applied(), paid.applied(), parked.applied())
    await Survey(renewal.pool, utc_now).take()
    assert exported("recarga_renewal_in_flight", state="captured") == 0
    assert exported("recarga_renewal_captured_unapplied") == 0
    assert exported("recarga_renewal_captured_unapplied_oldest_seconds") == 0


async def test_a_broken_promise_is_counted_and_nothing_is_raised(renewal: Wired) -> None:
    [about] = await begun(renewal, *await known(renewal))
    before = exported("recarga_renewal_broken_promises_total")
    await renewal.consume("saga", about.rejected(), about.payment_cancelled(), about.applied())
    await renewal.consume("saga", about.applied())
    assert exported("recarga_renewal_broken_promises_total") == before + 1


async def test_outcomes_steps_and_refusals_are_counted(renewal: Wired) -> None:
    completed = exported("recarga_renewal_closed_total", outcome="completed")
    priced = exported("recarga_renewal_step_seconds_count", step="priced")
    refused = exported("recarga_renewal_refused_total", reason="slot_taken")
    [one] = await known(renewal)
    [about] = await begun(renewal, one)
    await renewal.consume("admission", one.request("r-2"))
    await renewal.consume("saga", about.priced(), about.captured(), about.applied())
    assert exported("recarga_renewal_closed_total", outcome="completed") == completed + 1
    assert exported("recarga_renewal_step_seconds_count", step="priced") == priced + 1
    assert exported("recarga_renewal_refused_total", reason="slot_taken") == refused + 1
