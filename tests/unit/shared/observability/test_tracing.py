"""traceparent as the W3C recommendation has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.observability.tracing import TraceContext, child, new, parse

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-ff", "03"),
        (f"cc-{TRACE}-{SPAN}-01", "01"),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-holds", "01"),
    ],
)
def test_a_valid_traceparent_is_read(traceparent: str, flags: str) -> None:
    assert parse(traceparent) == TraceContext(TRACE, SPAN, flags)
    assert child(traceparent, "1" * 16) == f"00-{TRACE}-{'1' * 16}-{flags}"


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{'١' * 32}-{SPAN}-01",
    ],
)
def test_an_invalid_traceparent_begins_a_new_trace(traceparent: str | None) -> None:
    assert parse(traceparent) is None
    made = parse(child(traceparent, SPAN))
    assert made is not None
    assert made.trace_id != TRACE
    assert made.span_id == SPAN


@given(st.text())
def test_nothing_that_arrives_makes_it_fail(text: str) -> None:
    assert parse(child(text)) is not None


def test_every_new_trace_is_another_and_sampled() -> None:
    traces = [parse(new()) for _ in range(100)]
    assert len({trace.trace_id for trace in traces if trace is not None}) == 100
    assert all(trace is not None and trace.flags == "01" for trace in traces)


def test_a_child_is_a_new_span_of_the_same_trace() -> None:
    parent = new()
    first, second = parse(child(parent)), parse(child(parent))
    given_parent = parse(parent)
    assert first is not None
    assert second is not None
    assert given_parent is not None
    assert first.trace_id == second.trace_id == given_parent.trace_id
    assert len({first.span_id, second.span_id, given_parent.span_id}) == 3
