"""What is sent because of an event, and how it is signed."""

from __future__ import annotations

import hashlib
import hmac

import orjson
import pytest

from deploy.sandbox.exchange import Event
from deploy.sandbox.webhooks import deliveries, destination_of, signature

from .conftest import START


def event(mischief: str, kind: str = "payment_intent.succeeded") -> Event:
    return Event(kind, {"id": "pi_1", "status": "succeeded"}, START, mischief, 3_000_000)


def test_the_signature_covers_the_time_and_the_body() -> None:
    expected = hmac.new(b"secret", b'1795392000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature(b"secret", 1_795_392_000, b'{"a":1}') == f"t=1795392000,v1={expected}"


def test_an_ordinary_event_is_sent_once_at_once_and_honestly() -> None:
    (delivery,) = deliveries(event(""), "evt_1")
    document = orjson.loads(delivery.body)
    assert (document["id"], document["type"]) == ("evt_1", "payment_intent.succeeded")
    assert document["data"]["object"]["id"] == "pi_1"
    assert (delivery.delay_us, delivery.honest) == (0, True)


def test_a_duplicate_has_the_same_id() -> None:
    first, second = deliveries(event("duplicate"), "evt_1")
    assert first == second


def test_a_late_event_waits_and_a_lost_one_is_never_sent() -> None:
    (late,) = deliveries(event("late"), "evt_1")
    assert late.delay_us == 3_000_000
    assert deliveries(event("lost"), "evt_1") == []


@pytest.mark.parametrize(
    ("true", "forged"),
    [
        ("payment_intent.payment_failed", "payment_intent.succeeded"),
        ("payment_intent.succeeded", "payment_intent.canceled"),
    ],
)
def test_a_forged_event_says_the_opposite_before_the_true_one(true: str, forged: str) -> None:
    lie, truth = deliveries(event("forged", true), "evt_1")
    assert (orjson.loads(lie.body)["type"], lie.honest) == (forged, False)
    assert (orjson.loads(truth.body)["type"], truth.honest) == (true, True)


@pytest.mark.parametrize("url", ["https://host/x", "host:80/x", "http://", "ftp://host", ""])
def test_a_url_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        destination_of(url, b"secret")
