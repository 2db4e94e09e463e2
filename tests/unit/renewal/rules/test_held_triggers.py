"""What a trigger that is held up waits for: an instant, a stop, an answer, and at their very edges."""

from datetime import timedelta

from services.renewal.domain.admission import Admitted, Kept
from services.renewal.domain.asking import PAUSED, UNTIL
from services.renewal.rules.domain.judgement import CYCLE_OVER, ENDED
from services.renewal.rules.domain.question import Question
from services.renewal.rules.domain.rule import Pause, QuietHours
from tests.unit.renewal.rules.given import TRIGGER, mandate, pull, told
from tests.unit.renewal.story import T0

HOUR = timedelta(hours=1)
# T0 is eight o'clock.
NIGHT = QuietHours(from_hour=7, to_hour=10, zone="UTC")


def test_what_is_kept_is_marked_as_it_always_was() -> None:
    """Kept triggers are rows that processes of two versions read."""
    assert (UNTIL, PAUSED) == ("time", "pause")


def test_a_charge_that_is_due_by_its_announcement_waits_for_the_morning_all_the_same() -> None:
    announced = TRIGGER._replace(announced="cuba-1gb 800 USD", not_before=T0 - HOUR)
    kept = pull(announced, told(notice_seconds=3600, quiet_hours=NIGHT))
    assert kept == Kept(announced._replace(held_by=UNTIL, not_before=T0 + 2 * HOUR), "quiet_hours")


def test_what_a_stop_holds_waits_for_its_end_and_for_no_instant() -> None:
    kept = pull(TRIGGER._replace(held_by=UNTIL, not_before=T0 - HOUR), charges_stopped=["everywhere"])
    assert isinstance(kept, Kept)
    assert kept.trigger == TRIGGER._replace(held_by="everywhere", not_before=None)


def test_what_is_terminated_waits_for_nothing() -> None:
    """docs/rules.md: refused with `status_not_eligible`, whatever would have held it."""
    assert ENDED.reason == "status_not_eligible"
    assert pull(known=told(pause=Pause(T0, "ana", "Travelling.")), status="terminated") == ENDED
    assert pull(status="terminated", charges_stopped=["everywhere"]) == ENDED


def test_a_question_holds_what_had_waited_for_something_else() -> None:
    asked = TRIGGER._replace(
        dunning_try=2, offering_id="cuba-1gb", asked=Question("cuba-1gb", 1200, "USD").text
    )
    kept = pull(asked, told(cap_amount_minor=1000, mandate=mandate(max_amount_minor=1200)))
    assert isinstance(kept, Kept)
    assert (kept.trigger, kept.reason) == (asked._replace(held_by=UNTIL), "cap_charge")
    exactly = told(cap_amount_minor=1200, mandate=mandate(max_amount_minor=1200))
    assert isinstance(pull(asked, exactly), Admitted)


def test_of_a_subscription_whose_cycles_nobody_has_told_no_trigger_is_old() -> None:
    assert isinstance(pull(cycle=None), Admitted)
    assert pull(known=told(applied_cycle=4), cycle=None) == CYCLE_OVER
