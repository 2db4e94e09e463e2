"""The matrix is complete, says why where nothing happens, and agrees with the design's table."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.renewal.domain import actions
from services.renewal.domain.actions import (
    Action,
    CustomerCancels,
    CustomerRetries,
    Deadline,
    DelayPromise,
    OperatorCancels,
    OperatorRefunds,
    OperatorReleases,
    OperatorResolves,
    OperatorRetries,
    RetryDue,
    Silence,
    Timer,
)
from services.renewal.domain.change import Ignored
from services.renewal.domain.due import alarms
from services.renewal.domain.policy import POLICY, Moment
from services.renewal.domain.renewal import CLOSED, STATES, Renewal, State, TopUpFinding
from services.renewal.domain.saga import MATRIX, decide
from services.renewal.handlers import SAGA_MESSAGES, SAGA_TOPICS
from shared.contracts.registry import topic_messages
from tests.unit.renewal.effects import EFFECTS
from tests.unit.renewal.story import GRANT, PRICE, T0, Says, requested

SAYS = Says()
SAMPLES: dict[type, object] = {
    type(message): message
    for message in (
        SAYS.priced(),
        SAYS.rejected(),
        SAYS.captured(),
        SAYS.declined(),
        SAYS.payment_failed(),
        SAYS.action_required(),
        SAYS.payment_cancelled(),
        SAYS.refunded(),
        SAYS.refund_failed(),
        SAYS.refund_rejected("refund_returned"),
        SAYS.surplus(),
        SAYS.disputed(),
        SAYS.applied(),
        SAYS.top_up_rejected(),
        SAYS.top_up_failed(),
        SAYS.top_up_cancelled(),
        SAYS.undetermined(),
        Silence(),
        Deadline(),
        DelayPromise(),
        RetryDue(),
        CustomerCancels("ana"),
        CustomerRetries("ana", "card-2"),
        OperatorRetries("otto"),
        OperatorCancels("otto"),
        OperatorRefunds("otto"),
        OperatorResolves("otto", "applied"),
        OperatorReleases("otto", "refunded", "looked at both journals"),
    )
}
TOP_UP: dict[State, TopUpFinding] = {
    "refunding": "rejected",
    "parked": "undetermined",
}
AT = T0 + timedelta(minutes=1)
CELLS = [(state, message) for message in MATRIX for state in STATES]


def standing(state: State) -> Renewal:
    """A renewal as it usually is in that state."""
    renewal = requested("card-1", "card-2")
    captured_at = None if state in ("requested", "priced", "awaiting_customer", "cancelling_payment") else T0
    if state in ("failed", "cancelled"):
        captured_at = None
    return renewal._replace(
        state=state,
        version=7,
        amount_minor=None if state == "requested" else PRICE,
        granted=None if state == "requested" else GRANT.model_dump_json(),
        captured_at=captured_at,
        action="confirm_payment" if state == "awaiting_customer" else None,
        reason="deadline_passed" if state.startswith("cancelling") else None,
        parked_from="captured" if state == "parked" else None,
        parked_reason="top_up_undetermined" if state == "parked" else None,
        top_up=TOP_UP.get(state),
        closed_at=T0 if state in CLOSED else None,
    )


def test_every_event_of_the_topics_that_the_saga_reads_has_a_row() -> None:
    spoken = {message for topic in SAGA_TOPICS for message in topic_messages(topic)}
    assert set(SAGA_MESSAGES) == spoken
    assert spoken <= set(MATRIX)


def test_every_timer_and_every_action_has_a_row() -> None:
    known = {
        member
        for member in vars(actions).values()
        if isinstance(member, type) and issubclass(member, Timer | Action) and member not in (Timer, Action)
    }
    assert known <= set(MATRIX)


def test_nothing_else_has_a_row_and_every_row_has_a_sample() -> None:
    assert set(MATRIX) == set(SAMPLES)


@pytest.mark.parametrize("message", MATRIX, ids=lambda message: message.__name__)
def test_every_row_has_a_cell_for_every_state(message: type) -> None:
    assert tuple(MATRIX[message]) == STATES


@pytest.mark.parametrize(("state", "message"), CELLS, ids=lambda part: getattr(part, "__name__", part))
def test_every_cell_has_a_rule_or_says_why_not(state: State, message: type) -> None:
    cell = MATRIX[message][state]
    if isinstance(cell, Ignored):
        assert len(cell.why.split()) >= 3, "a reason is a sentence"
    else:
        assert callable(cell)


@pytest.mark.parametrize(("state", "message"), CELLS, ids=lambda part: getattr(part, "__name__", part))
def test_every_cell_can_be_applied_and_leaves_a_trace_of_what_it_did(state: State, message: type) -> None:
    before = standing(state)
    decision = decide(before, SAMPLES[message], Moment(AT, POLICY))
    if decision.history is None:
        assert decision.renewal == before
        assert decision.says == ()
        assert decision.ignored
        return
    after = decision.renewal
    assert after.version == before.version + 1
    assert (decision.history.from_state, decision.history.to_state) == (state, after.state)
    assert (decision.history.version, decision.history.message) == (after.version, message.__name__)
    assert (after.closed_at is not None) == (after.state in CLOSED)
    assert state not in CLOSED or after.state == state, "a closed renewal is never revived"
    assert all(said.renewal_id == before.renewal_id for said in decision.says)  # type: ignore[attr-defined]
    assert len({said.event_id for said in decision.says}) == len(decision.says)


# The substance of the design's table: (states, message, to). Where `to` is the same state it stays.
BEFORE_CAPTURE: tuple[State, ...] = ("requested", "priced", "awaiting_customer")
GIVEN_UP: tuple[State, ...] = ("cancelling_payment", "cancelling_top_up", "refunding")
DESIGN: list[tuple[tuple[State, ...], object, State]] = [
    (("requested",), SAYS.priced(), "priced"),
    (("requested",), SAYS.rejected(), "cancelling_payment"),
    (("requested",), Silence(), "requested"),
    (BEFORE_CAPTURE, SAYS.captured(), "captured"),
    ((*BEFORE_CAPTURE, "captured", "cancelling_payment", "cancelling_top_up"), SAYS.applied(), "completed"),
    (("priced",), SAYS.action_required(), "awaiting_customer"),
    (("priced", "awaiting_customer"), SAYS.declined("hard"), "priced"),
    (("requested",), SAYS.declined("hard"), "requested"),
    (("priced",), SAYS.payment_failed(), "priced"),
    (("captured",), Silence(), "captured"),
    (("priced",), Silence(), "priced"),
    (("awaiting_customer",), CustomerRetries("ana", "card-2"), "priced"),
    (BEFORE_CAPTURE, Deadline(), "cancelling_payment"),
    (BEFORE_CAPTURE, CustomerCancels("ana"), "cancelling_payment"),
    (("cancelling_payment",), SAYS.payment_cancelled(), "cancelled"),
    (("cancelling_payment",), SAYS.captured(), "cancelling_top_up"),
    (("captured",), SAYS.top_up_failed(), "captured"),
    (("captured",), Deadline(), "cancelling_top_up"),
    (("captured",), CustomerCancels("ana"), "cancelling_top_up"),
    (("captured", "cancelling_top_up"), SAYS.top_up_rejected(), "refunding"),
    (("captured", "cancelling_top_up"), SAYS.top_up_cancelled(), "refunding"),
    (("captured", "cancelling_top_up"), SAYS.undetermined(), "parked"),
    (("refunding",), SAYS.refunded(), "refunded"),
    (("refunding",), SAYS.refund_failed(), "refunding"),
    (("refunding",), SAYS.refund_rejected(), "parked"),
    (("parked",), SAYS.applied(), "completed"),
    (("parked",), SAYS.top_up_rejected(), "refunding"),
    (("parked",), SAYS.top_up_cancelled(), "refunding"),
    (("parked",), SAYS.refunded(), "refunded"),
]


@pytest.mark.parametrize(
    ("state", "message", "to"),
    [(state, message, to) for states, message, to in DESIGN for state in states],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_the_matrix_agrees_with_the_design(state: State, message: object, to: State) -> None:
    before = standing(state)
    decision = decide(before, message, Moment(AT, POLICY))
    assert decision.history is not None
    assert decision.renewal.state == to


BROKEN: list[tuple[State, object]] = [
    *((state, SAYS.applied()) for state in ("refunding", "refunded", "failed", "cancelled")),
    *((state, SAYS.captured()) for state in ("failed", "cancelled")),
    *(
        (state, SAYS.payment_cancelled())
        for state in ("captured", "cancelling_top_up", "refunding", "completed", "refunded", "parked")
    ),
    ("completed", SAYS.top_up_rejected()),
    ("completed", SAYS.top_up_cancelled()),
    ("failed", SAYS.refunded()),
]


@pytest.mark.parametrize(
    ("state", "message"), BROKEN, ids=lambda part: part if isinstance(part, str) else type(part).__name__
)
def test_a_broken_promise_is_an_alarm_once_and_moves_nothing(state: State, message: object) -> None:
    first = decide(standing(state), message, Moment(AT, POLICY))
    assert first.alarm
    assert first.says == ()
    assert first.renewal.state == state
    assert first.renewal.has_flag("promise_broken")
    again = decide(first.renewal, message, Moment(AT, POLICY))
    assert again.history is None
    assert not again.alarm


def little_known(state: State) -> Renewal:
    """In that state with neither price nor capture seen, given up for a decline where it is given up."""
    renewal = standing(state)
    reason = "declined_hard" if state.startswith("cancelling") else renewal.reason
    # Parked unpaid it is only by a payment that has not said what became of it.
    came_from = "cancelling_payment" if state == "parked" else renewal.parked_from
    return renewal._replace(
        amount_minor=None, granted=None, captured_at=None, reason=reason, parked_from=came_from
    )


def written_down() -> dict[tuple[str, str], str]:
    """(message, state) to effect, from the second table; a mark stays at the effect."""
    found: dict[tuple[str, str], str] = {}
    message = ""
    for line in EFFECTS.strip().splitlines():
        if "<-" not in line:
            message = line.strip()
            continue
        effect, states = line.split("<-")
        for state in STATES if states.strip() == "every" else states.split():
            mark = state[-1] if state[-1] in "?!" else ""
            found[message, state.rstrip("?!")] = effect.strip() + mark
    return found


WRITTEN_DOWN = written_down()


def effect(renewal: Renewal, message: type) -> str | None:
    decision = decide(renewal, SAMPLES[message], Moment(AT, POLICY))
    if decision.history is None:
        return None
    to = "stays" if decision.renewal.state == renewal.state else decision.renewal.state
    says = [type(said).__name__ for said in decision.says]
    return " ".join([to, *(["alarm"] if decision.alarm else []), *says])


@pytest.mark.parametrize(("state", "message"), CELLS, ids=lambda part: getattr(part, "__name__", part))
def test_every_cell_does_what_was_written_down(state: State, message: type) -> None:
    expected = WRITTEN_DOWN.get((message.__name__, state))
    if expected is None:
        assert isinstance(MATRIX[message][state], Ignored)
    elif expected.endswith("!"):
        assert callable(MATRIX[message][state])
        assert effect(standing(state), message) is None
    elif expected.endswith("?"):
        assert effect(standing(state), message) is None
        assert effect(little_known(state), message) == expected[:-1]
    else:
        assert effect(standing(state), message) == expected


def test_what_was_written_down_is_all_there() -> None:
    names = {message.__name__ for message in MATRIX}
    assert {message for message, _ in WRITTEN_DOWN} <= names
    assert {state for _, state in WRITTEN_DOWN} <= set(STATES)


@pytest.mark.parametrize("state", [state for state in STATES if state not in CLOSED])
def test_every_open_state_is_woken_by_something(state: State) -> None:
    """No state may wait for ever: each has a timer of its own, and that timer's cell has a rule.

    What is parked waits for a person: it is woken only to tell its customer.
    """
    waits = alarms(standing(state), POLICY)
    ruled = [wait for wait in waits if not isinstance(MATRIX[type(wait.timer)][state], Ignored)]
    own = DelayPromise if state == "parked" else Deadline | Silence
    assert any(isinstance(wait.timer, own) for wait in ruled)
    assert state != "parked" or len(waits) == 1


@pytest.mark.parametrize("key", POLICY.declines)
def test_every_decline_policy_ends_in_giving_up(key: tuple[str, str]) -> None:
    steps = POLICY.declines[key]  # type: ignore[index]
    assert steps[-1] == "give_up"
    assert steps.count("give_up") == 1


def test_every_class_of_decline_has_a_policy_for_people_and_for_rules() -> None:
    assert set(POLICY.declines) == {
        (decline_class, origin)
        for decline_class in ("soft", "hard", "needs_customer")
        for origin in ("customer", "rule")
    }


def test_a_sum_of_budgets_bounds_every_way_through_giving_up() -> None:
    """Silence in a state that gives up parks it after a bounded time."""
    for state in GIVEN_UP:
        patience = POLICY.patience[state]
        assert patience.budget is not None
        total = sum(patience.backoff.seconds(times) for times in range(patience.budget + 1))
        assert 3600 < total < 48 * 3600, "longer than an authority's resolution deadline, shorter than days"


def test_a_policy_can_be_replaced_without_touching_a_rule() -> None:
    hasty = replace(POLICY, declines={**POLICY.declines, ("hard", "customer"): ("give_up",)})
    decision = decide(standing("priced"), SAYS.declined("hard"), Moment(AT, hasty))
    assert decision.renewal.state == "cancelling_payment"
