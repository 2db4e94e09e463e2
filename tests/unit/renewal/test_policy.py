"""The policy as a page: every budget, delay and deadline, and what happens when one is spent.

Written down a second time: a number that changes here changes what customers and support are told.
"""

import ast
import os
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from services.payment.domain import calls, outcome
from services.renewal.domain.actions import RetryDue, Silence
from services.renewal.domain.policy import ANY_OTHER, POLICY, Backoff, DeclineStep, Policy, Retry, row_of
from services.renewal.settings import Settings
from services.renewal.wiring import policy_of
from shared.contracts.fields import DeclineClass, Origin
from tests.unit.renewal.story import Says, Story, captured, new, requested

SERVICES = Path(__file__).parents[3] / "services"
says = Says()

PAGE = """
step        reason        budget  first  factor  cap   jitter  deadline  when spent
payment     *             5       2      2       60    0.5     renewal   give_up
payment     rate_limited  any      5      2       60    0.5     renewal   give_up
top-up      *             5       2      2       60    0.5     renewal   give_up
top-up      rate_limited  any      5      2       60    0.5     renewal   give_up
refund      *             any     5      2       3600  0.5     86400     park
soft        customer      1       30     1       30    0.5     renewal   next_step
soft        rule          2       600    2       1800  0.5     renewal   next_step
silence     requested     any     30     2       300   0       renewal   park
silence     priced        any     30     2       300   0       renewal   park
silence     captured      any     30     2       300   0       renewal   park
silence     cancelling_payment 12 30     2       600   0       none      park
silence     cancelling_top_up  12 30     2       600   0       none      park
silence     refunding     31      60     2       3600  0       none      park
declined    soft/customer            next_method retry_later give_up
declined    soft/rule                next_method retry_later give_up
declined    hard/customer            next_method give_up
declined    hard/rule                next_method give_up
declined    needs_customer/customer  ask_customer next_method give_up
declined    needs_customer/rule      next_method ask_customer give_up
deadline    customer      3600
deadline    rule          3600
promise     any           180
effect      at_least      60
command     at_most       600
late        capture       300
review      at_most       86400
burst       subscription  50      86400
burst       brand         120000  300
burst       everywhere    180000  300
"""
_ENDED_BY_DEADLINE = ("requested", "priced", "captured")


def page(policy: Policy) -> Iterator[list[str]]:
    """The policy's tables, a line each."""
    yield ["step", "reason", "budget", "first", "factor", "cap", "jitter", "deadline", "when", "spent"]
    for step, table in (
        ("payment", policy.payment_retries),
        ("top-up", policy.top_up_retries),
        ("refund", policy.refund_retries),
        ("soft", policy.soft_decline_retries),
    ):
        for reason, retry in table.items():
            deadline = "renewal" if retry.deadline_seconds is None else f"{retry.deadline_seconds:g}"
            yield [step, reason, *_numbers(retry.budget, retry.backoff), deadline, retry.when_spent]
    for state, patience in policy.patience.items():
        deadline = "renewal" if state in _ENDED_BY_DEADLINE else "none"
        yield ["silence", state, *_numbers(patience.budget, patience.backoff), deadline, patience.when_spent]
    for (decline_class, origin), steps in policy.declines.items():
        yield ["declined", f"{decline_class}/{origin}", *steps]
    for origin, seconds in policy.deadline_seconds.items():
        yield ["deadline", origin, f"{seconds:g}"]
    yield ["promise", "any", f"{policy.promise_seconds:g}"]
    yield ["effect", "at_least", f"{policy.effect_seconds:g}"]
    yield ["command", "at_most", f"{policy.command_seconds:g}"]
    yield ["late", "capture", f"{policy.late_capture_seconds:g}"]
    yield ["review", "at_most", f"{policy.review_seconds:g}"]
    for kind, limit in policy.bursts._asdict().items():
        yield ["burst", kind, str(limit.renewals), str(limit.window_seconds)]


def _numbers(budget: int | None, backoff: Backoff) -> list[str]:
    numbers = (backoff.first_seconds, backoff.factor, backoff.cap_seconds, backoff.jitter)
    return ["any" if budget is None else str(budget), *(f"{number:g}" for number in numbers)]


def test_the_policy_is_this_page() -> None:
    found = list(page(POLICY))
    as_text = "\n".join("  ".join(f"{word:12}" for word in line) for line in found)
    assert found == [line.split() for line in PAGE.strip().splitlines()], as_text


def test_what_the_environment_sets_is_this_page_where_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("RECARGA_")]:
        monkeypatch.delenv(name)
    assert policy_of(Settings(database_url="postgresql://nobody@127.0.0.1/none")) == POLICY


def test_the_page_shows_every_table_there_is() -> None:
    shown = {
        *("payment_retries", "top_up_retries", "refund_retries", "soft_decline_retries"),
        *("patience", "declines", "deadline_seconds", "promise_seconds", "effect_seconds"),
        *("command_seconds", "late_capture_seconds", "review_seconds", "bursts"),
    }
    derived = {"shortest_patience", "refund_seconds"}
    assert {field.name for field in fields(Policy)} == shown | derived


def test_every_class_of_decline_from_everybody_has_a_row_of_known_steps() -> None:
    assert set(POLICY.declines) == set(product(get_args(DeclineClass), get_args(Origin)))
    for steps in POLICY.declines.values():
        assert set(steps) <= set(get_args(DeclineStep))
    assert set(POLICY.soft_decline_retries) == set(POLICY.deadline_seconds) == set(get_args(Origin))


def test_only_a_decline_has_a_next_step_and_only_a_refund_is_parked_when_spent() -> None:
    assert {retry.when_spent for retry in POLICY.payment_retries.values()} == {"give_up"}
    assert {retry.when_spent for retry in POLICY.top_up_retries.values()} == {"give_up"}
    assert {retry.when_spent for retry in POLICY.refund_retries.values()} == {"park"}
    assert {retry.when_spent for retry in POLICY.soft_decline_retries.values()} == {"next_step"}
    assert {patience.when_spent for patience in POLICY.patience.values()} == {"park"}


# Every reason that payment and provisioning make up themselves. A gateway's own codes come on top.
FAILED_PAYMENTS = {
    calls.NOTHING_FOUND,
    outcome.NO_ANSWER,
    outcome.OBJECT_GONE,
    "gateway_not_configured",
    "not_sent",
    "provider_error",
    "provider_silent",
    "provider_unreachable",
    "rate_limited",
    "resolved_by_operator",
}
FAILED_REFUNDS = {"gateway_not_configured", "nothing_found", "provider_error", "provider_unreachable"} | {
    "rate_limited"
}
FAILED_TOP_UPS = {"carrier_failed", "failed", "no_access", "no_connection", "no_answer", "not_found"} | {
    "rate_limited"
}


@pytest.mark.parametrize("reason", [*sorted(FAILED_PAYMENTS), "a_code_of_the_psp"])
def test_every_reason_of_a_failed_payment_has_its_row_or_the_stated_default(reason: str) -> None:
    expected = reason if reason in POLICY.payment_retries else ANY_OTHER
    assert row_of(POLICY.payment_retries, reason) == expected


@pytest.mark.parametrize("reason", [*sorted(FAILED_TOP_UPS), "a_code_of_the_carrier"])
def test_every_reason_of_a_failed_top_up_has_its_row_or_the_stated_default(reason: str) -> None:
    expected = reason if reason in POLICY.top_up_retries else ANY_OTHER
    assert row_of(POLICY.top_up_retries, reason) == expected


@pytest.mark.parametrize("reason", [*sorted(FAILED_REFUNDS), "a_code_of_the_psp"])
def test_every_reason_of_a_failed_refund_has_the_stated_default(reason: str) -> None:
    assert row_of(POLICY.refund_retries, reason) == ANY_OTHER


def test_no_row_is_for_a_reason_that_nobody_sends() -> None:
    assert set(POLICY.payment_retries) <= {ANY_OTHER, *FAILED_PAYMENTS}
    assert set(POLICY.top_up_retries) <= {ANY_OTHER, *FAILED_TOP_UPS}
    assert set(POLICY.refund_retries) <= {ANY_OTHER, *FAILED_REFUNDS}


def _words_of(part: str, callee: str) -> Iterator[set[str]]:
    """For every call of that function in a part of a service, the words in quotes that it is given."""
    for path in sorted((SERVICES / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == callee:
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                chosen = [
                    part for each in given if isinstance(each, ast.IfExp) for part in (each.body, each.orelse)
                ]
                yield {_word(each) for each in (*given, *chosen)} - {""}


def _word(value: ast.expr) -> str:
    """A word in quotes, or the last part of a name with dots; nothing for whatever else."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    return value.attr if isinstance(value, ast.Attribute) and value.attr.isupper() else ""


def test_payment_makes_up_no_other_reason() -> None:
    callees = ("_outcome", "_failed", "attempt_failed")
    told = [words for callee in callees for words in _words_of("payment", callee)]
    said_otherwise = {"UNKNOWN", "NOT_SENT", "DECLINED", "REJECTED"}
    codes = {word for words in told if not words & said_otherwise for word in words if word.islower()}
    assert {"rate_limited", "provider_silent", "not_sent"} <= codes, "the search finds them"
    assert codes <= FAILED_PAYMENTS | FAILED_REFUNDS


def test_provisioning_makes_up_no_other_reason() -> None:
    told = list(_words_of("provisioning", "Finding"))
    codes = {word for words in told if words & {"failed", "refused", "not_found"} for word in words} - {
        "refused"
    }
    assert {"rate_limited", "carrier_failed"} <= codes, "the search finds them"
    assert codes <= FAILED_TOP_UPS


# The rules only read the page: another page, another way.


def test_what_follows_a_spent_payment_is_what_its_row_says() -> None:
    impatient = Retry(budget=0, backoff=Backoff(2, 2, 60), when_spent="park")
    policy = replace(POLICY, payment_retries={ANY_OTHER: impatient})
    story = Story(requested(policy=policy), policy).when(says.priced(), says.payment_failed())
    assert (story.state, story.renewal.parked_reason) == ("parked", "payment_attempts_spent")


def test_what_follows_a_spent_top_up_is_what_its_row_says() -> None:
    impatient = Retry(budget=0, backoff=Backoff(2, 2, 60), when_spent="park")
    story = captured()
    story.policy = replace(POLICY, top_up_retries={ANY_OTHER: impatient})
    story.when(says.top_up_failed())
    assert (story.state, story.renewal.parked_from) == ("parked", "captured")


def test_what_follows_a_spent_refund_is_what_its_row_says() -> None:
    twice = Retry(budget=1, backoff=Backoff(5, 2, 60), when_spent="park", deadline_seconds=3600)
    story = captured()
    story.policy = replace(POLICY, refund_retries={ANY_OTHER: twice})
    story.when(says.top_up_rejected(), says.refund_failed(1), RetryDue(), says.refund_failed(2))
    assert (story.state, story.renewal.parked_reason) == ("parked", "refund_attempts_spent")


def test_what_follows_silence_is_what_its_row_says() -> None:
    deaf = {
        **POLICY.patience,
        "captured": replace(POLICY.patience["captured"], budget=0, when_spent="give_up"),
    }
    story = captured()
    story.policy = replace(POLICY, patience=deaf)
    story.when(Silence())
    assert (story.state, story.just_said) == ("cancelling_top_up", ["CancelTopUp"])


def test_a_soft_decline_that_is_spent_takes_the_next_step_of_its_row() -> None:
    asking = {**POLICY.declines, ("soft", "customer"): ("retry_later", "ask_customer", "give_up")}
    story = new("card-1")
    story.policy = replace(POLICY, declines=asking)
    story.when(says.priced(), says.declined("soft"), RetryDue(), says.declined("soft", attempt=2))
    assert story.state == "awaiting_customer"


def test_what_a_row_does_not_say_is_half_a_jitter_and_giving_up() -> None:
    assert Backoff(10, 1, 60).seconds(0, 0) == 5
    unsaid = Retry(budget=0, backoff=Backoff(2, 2, 60))
    assert unsaid.when_spent == "give_up"
    story = Story(requested()).when(says.priced())
    story.policy = replace(POLICY, payment_retries={ANY_OTHER: unsaid})
    assert story.when(says.payment_failed()).state == "cancelling_payment"


def test_a_row_of_declines_must_end_somehow() -> None:
    story = new("card-1")
    story.policy = replace(POLICY, declines={("hard", "customer"): ("next_method",)})
    with pytest.raises(AssertionError, match="does not end in give_up"):
        story.when(says.priced(), says.declined("hard"))


def test_jitter_is_the_rows_own() -> None:
    assert Backoff(10, 1, 60, jitter=0).seconds(0, 0) == 10
    assert Backoff(10, 1, 60, jitter=0.5).seconds(0, 0) == 5
    assert Backoff(10, 1, 60, jitter=1).seconds(0, 0) == 0
    assert Backoff(10, 1, 60, jitter=0.2).seconds(0, 0.5) == 9


def test_the_lot_that_is_drawn_moves_a_planned_attempt() -> None:
    story = new().when(says.priced(), says.payment_failed())
    backoff = POLICY.payment_retries[ANY_OTHER].backoff
    assert story.waits_for["RetryDue"] - story.at == timedelta(seconds=backoff.seconds(0, 0.5))
