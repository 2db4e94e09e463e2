"""What decides at the edge: the last instant, the shortest wait, the words that others compare."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from services.renewal.domain.admission import Admitted, Refusal, answer_request
from services.renewal.domain.charge_stop import stopping
from services.renewal.domain.due import Stall, stalled, wakes_in_time
from services.renewal.domain.policy import POLICY, Backoff, Moment
from services.renewal.domain.saga import decide
from tests.unit.renewal.rules.given import TRIGGER, pull
from tests.unit.renewal.story import RENEWAL_ID, T0, Says, requested
from tests.unit.renewal.test_admission import request, standing
from tests.unit.renewal.test_matrix import AT
from tests.unit.renewal.test_matrix import standing as in_state

NOW = Moment(AT, POLICY)
SAYS = Says()
SECOND = timedelta(seconds=1)


def test_a_refusal_without_a_sentence_is_repeated_without_one() -> None:
    refused = standing(refused_hash=request().fingerprint, refused_reason="too_late")
    assert answer_request(request(), refused, T0, POLICY) == Refusal("too_late", "")


def test_a_subscription_that_was_never_topped_up_is_in_cycle_nought() -> None:
    answer = answer_request(request(), standing(cycle=None), T0, POLICY)
    assert isinstance(answer, Admitted)
    assert answer.renewal.cycle == 0


def test_a_trigger_asks_as_its_rule_says_under_a_name_of_its_own() -> None:
    trigger = TRIGGER._replace(traceparent="00-trace")
    answer = pull(trigger)
    assert isinstance(answer, Admitted)
    asked = answer.request
    assert (asked.caller, asked.request_id, asked.traceparent) == ("rule", "sub-1:3:1", "00-trace")
    assert (asked.origin, asked.payer_id, asked.is_told) == ("rule", None, False)


def test_a_fingerprint_is_what_it_has_always_been() -> None:
    """A fingerprint that changes with a deployment refuses every request that is repeated after it."""
    one = request(payment_method_ids=("card-1", "card-2"))
    said = "sub-1\x1fcuba-1gb\x1f1000\x1fUSD\x1fcard-1,card-2\x1f"
    assert one.fingerprint == sha256(said.encode()).digest()
    named = one._replace(payer_id="eva")
    assert named.fingerprint == sha256(f"{said}eva".encode()).digest()


def test_a_stop_without_a_name_stops_nobody_who_has_none() -> None:
    assert stopping(["brand ola", "carrier cubacel"], None, None) is None
    assert stopping(["brand ", "carrier x"], None, "x") == "brand "
    assert stopping(["carrier "], "ola", None) == "carrier "


def test_a_timer_that_comes_as_early_as_silence_can_be_due_is_early_enough() -> None:
    renewal = requested()
    last = AT + POLICY.shortest_patience
    on_time = renewal._replace(next_due_at=last)
    assert wakes_in_time(on_time, NOW) is True
    assert wakes_in_time(on_time._replace(next_due_at=last + SECOND), NOW) is False
    others: tuple[dict[str, Any], ...] = (
        {"next_due_at": None},
        {"state": "parked"},
        {"retry_at": AT},
        {"action_before": AT},
    )
    for other in others:
        assert wakes_in_time(on_time._replace(**other), NOW) is False


def test_no_patience_is_shorter_than_the_shortest() -> None:
    assert POLICY.shortest_patience == timedelta(seconds=30)
    assert replace(POLICY, promise_seconds=20).shortest_patience == timedelta(seconds=20)


def test_delays_stop_growing_before_they_overflow() -> None:
    endless = Backoff(first_seconds=1, factor=2, cap_seconds=float("inf"), jitter=0)
    assert [endless.seconds(times) for times in (31, 32, 33, 10_000)] == [2.0**31, 2.0**32, 2.0**32, 2.0**32]


def test_a_stall_of_no_length_stalls_nothing() -> None:
    stalls = [Stall(T0, T0), Stall(T0 + SECOND, T0 + 3 * SECOND), Stall(T0 + 2 * SECOND, T0 + 4 * SECOND)]
    assert stalled(stalls, T0, T0 + 10 * SECOND) == 3 * SECOND
    assert stalled(stalls, T0 + 2 * SECOND, T0 + 3 * SECOND) == SECOND


@pytest.mark.parametrize(
    ("seconds", "state"), [(-1, "priced"), (0, "cancelling_payment"), (1, "cancelling_payment")]
)
def test_a_soft_decline_is_retried_only_before_the_deadline(seconds: int, state: str) -> None:
    # The last method: 22.5 s of back-off with half the lot.
    retry_at = AT + timedelta(seconds=22.5)
    renewal = in_state("priced")._replace(
        payment_method_id="card-2", deadline_at=retry_at - timedelta(seconds=seconds)
    )
    assert decide(renewal, SAYS.declined("soft", method="card-2"), NOW).renewal.state == state


@pytest.mark.parametrize(("seconds", "state"), [(0, "refunding"), (-1, "parked")])
def test_a_refund_is_tried_again_until_its_last_instant(seconds: int, state: str) -> None:
    first = decide(in_state("refunding"), SAYS.refund_failed(), NOW).renewal.retry_at
    assert first is not None
    renewal = in_state("refunding")._replace(refund_before=first + timedelta(seconds=seconds))
    assert decide(renewal, SAYS.refund_failed(), NOW).renewal.state == state


def test_retry_after_wins_where_it_is_longer() -> None:
    renewal = in_state("priced")
    waits = {
        seconds: decide(renewal, SAYS.payment_failed(retry_after=seconds), NOW).renewal.retry_at
        for seconds in (None, 1, 77)
    }
    assert waits[None] == waits[1] == AT + timedelta(seconds=1.5)
    assert waits[77] == AT + timedelta(seconds=77)


def test_a_price_waits_for_the_attempt_that_is_planned() -> None:
    planned = requested()._replace(payment_attempt=2, renewal_id=RENEWAL_ID)
    for retry_at, says in ((None, 1), (AT, 1), (AT + SECOND, 0)):
        decision = decide(planned._replace(retry_at=retry_at), SAYS.priced(), NOW)
        assert len(decision.says) == says
        assert decision.renewal.retry_at == (None if says else retry_at)


def test_a_rejection_says_more_where_there_is_more_to_say() -> None:
    detailed = SAYS.rejected().model_copy(update={"detail": "it is 12 now"})
    for message, detail in ((SAYS.rejected(), None), (detailed, "it is 12 now")):
        history = decide(requested(), message, NOW).history
        assert history is not None
        assert history.detail == detail


def test_a_request_id_is_its_caller_s_own() -> None:
    ids = {
        request(caller=caller, request_id=one).renewal_id
        for caller in ("crm", "app")
        for one in ("r-1", "r-2")
    }
    assert len(ids) == 4
