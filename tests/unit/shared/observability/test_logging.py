"""A log line is one JSON object that helps whoever reads it and gives nobody away."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog
from pydantic import BaseModel, ValidationError

from shared.contracts import MESSAGES
from shared.contracts.loggable import LOGGABLE, WITHHELD
from shared.contracts.message import Grant, Part, Terms
from shared.observability.logging import configure_logging, get_logger
from shared.observability.masking import LONGEST_TEXT, masked
from shared.observability.redaction import allow_fields, redact

ICCID = "8953010012345678903"
EID = "89049032123451234512345678901235"


class Lines:
    """What was written so far."""

    def __init__(self, output: io.BytesIO) -> None:
        self.output = output

    @property
    def last(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(self.output.getvalue().splitlines()[-1])
        return line

    @property
    def text(self) -> str:
        return self.output.getvalue().decode()


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    output = io.BytesIO()
    configure_logging("payment", "payment-1", output=output)
    yield Lines(output)
    root.handlers[:], root.level = before
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_a_line_says_when_what_and_where(lines: Lines) -> None:
    get_logger("payment.calls").info("capture was refused", attempt=2, renewal_id=UUID(int=7))
    line = lines.last
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "event": "capture was refused",
        "service": "payment",
        "instance": "payment-1",
        "module": "payment.calls",
        "attempt": 2,
        "renewal_id": "00000000-0000-0000-0000-000000000007",
    }


def test_a_line_below_the_level_is_not_written(lines: Lines) -> None:
    get_logger("x").debug("batch was read")
    assert lines.text == ""


def test_the_service_of_a_line_wins_over_that_of_the_process(lines: Lines) -> None:
    get_logger("x").info("route was called", service="catalog")
    assert lines.last["service"] == "catalog"


@pytest.mark.parametrize("name", ["token", "iccid", "eid", "msisdn", "card_number", "email", "anything_new"])
def test_a_field_that_nobody_allowed_is_hidden(lines: Lines, name: str) -> None:
    get_logger("x").info("customer was seen", **{name: "whatever"})
    assert lines.last[name] == "[redacted]"


@pytest.mark.parametrize(
    "number",
    [ICCID, EID, "4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242", "490154203237518"],
)
def test_a_long_number_is_masked_even_in_an_allowed_field(lines: Lines, number: str) -> None:
    get_logger("x").info(f"looked for {number}", key=number, reason=f"no {number} here", topics=[number])
    assert number not in lines.text
    assert lines.last["key"].endswith(f"{number[-4:]}]")


def test_ids_and_instants_are_not_mistaken_for_numbers() -> None:
    for text in ("12345678-1234-1234-1234-123456789012", "2026-11-23T10:00:00.123456+00:00", "+34600111222"):
        assert masked(text) == text


def test_traces_are_shown_whole_whatever_digits_they_hold() -> None:
    traceparent = "00-12345678901234567890123456789012-1234567890123456-01"
    assert redact({"traceparent": traceparent}) == {"traceparent": traceparent}


def test_values_are_bounded() -> None:
    shown = redact(
        {
            "reason": "x" * 10_000,
            "topics": ["t"] * 1000,
            "count": 2**200,
            "terms": {"a": {"b": {"c": {"d": 1}}}},
        }
    )
    assert len(shown["reason"]) == LONGEST_TEXT + 1
    assert len(shown["topics"]) == 20
    assert shown["count"] == "[redacted]"


def test_objects_are_shown_by_class_and_mappings_by_the_same_rule() -> None:
    class Card:
        def __repr__(self) -> str:
            return "Card(4242)"

    shown = redact(
        {"reason": Card(), "terms": {"offering_id": "cuba-5gb", "token": "tok_1"}, "duration_seconds": 0.5}
    )
    assert shown == {
        "reason": "[Card]",
        "terms": {"offering_id": "cuba-5gb", "token": "[redacted]"},
        "duration_seconds": 0.5,
    }


def test_a_module_may_allow_a_field_of_its_own() -> None:
    assert redact({"psp_status": "ok"}) == {"psp_status": "[redacted]"}
    allow_fields("psp_status")
    assert redact({"psp_status": "ok"}) == {"psp_status": "ok"}


def test_an_exception_tells_where_and_why_without_locals(lines: Lines) -> None:
    secret = ICCID
    try:
        try:
            int(secret + "x")
        except ValueError as error:
            raise RuntimeError("lookup failed") from error
    except RuntimeError:
        get_logger("x").exception("batch failed")
    line = lines.last
    assert (line["level"], line["error_type"], line["error"]) == ("error", "RuntimeError", "lookup failed")
    assert line["stack"][-1].startswith("tests/unit/shared/observability/test_logging.py:")
    assert line["stack"][-1].endswith(" test_an_exception_tells_where_and_why_without_locals")
    assert line["causes"][0].startswith("ValueError: ")
    assert secret not in lines.text


def test_a_validation_error_does_not_repeat_the_value(lines: Lines) -> None:
    class Entry(BaseModel):
        pin: int

    try:
        Entry.model_validate({"pin": "secret-pin"})
    except ValidationError as error:
        get_logger("x").error("entry was refused", exc_info=error)
    assert "secret-pin" not in lines.text
    assert lines.last["error"].startswith("pin: ")


def test_what_libraries_warn_about_is_a_line_and_their_chatter_is_not(lines: Lines) -> None:
    for name in ("uvicorn.error", "aiokafka.consumer.fetcher", "faststream", "asyncpg.pool"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("lost %s", ICCID)
        assert (lines.last["module"], lines.last["level"]) == (name, "warning")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old call", stacklevel=1)
    assert "old call" in lines.last["event"]
    assert "chatter" not in lines.text
    assert ICCID not in lines.text


def test_every_field_of_every_message_is_either_loggable_or_withheld() -> None:
    parts: tuple[type[Part], ...] = (*MESSAGES.values(), Terms, Grant)
    fields = {name for part in parts for name in part.model_fields}
    assert fields == LOGGABLE | WITHHELD
    assert not LOGGABLE & WITHHELD


def test_an_instant_is_written_in_iso_form(lines: Lines) -> None:
    get_logger("x").info("deadline was missed", act_before=datetime(2026, 11, 23, tzinfo=UTC))
    assert lines.last["act_before"] == "2026-11-23T00:00:00+00:00"
