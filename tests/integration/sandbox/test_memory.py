"""Over real sockets: keys, lost answers, the journal, and what survives the process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest

from .conftest import Sandbox, Server, charge, topup, wait_until

INTENTS = "/v1/payment_intents"


def effects(server: Server, renewal_id: str) -> list[str]:
    rows = server.call("GET", "/journal?kind=effect&limit=10000").document["rows"]
    return [row["effect"] for row in rows if renewal_id in (row.get("renewal_id"), row.get("reference"))]


@pytest.mark.parametrize("token", ["tok_ok", "tok_decline_do_not_honor"])
def test_a_repeat_is_answered_verbatim_and_says_so(psp: Server, renewal_id: str, token: str) -> None:
    key = f"{renewal_id}-capture"
    first = psp.call("POST", INTENTS, charge(renewal_id, token), key)
    again = psp.call("POST", INTENTS, charge(renewal_id, token), key)
    assert (again.status, again.body) == (first.status, first.body)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


def test_other_parameters_under_one_key_are_refused(psp: Server, renewal_id: str) -> None:
    psp.call("POST", INTENTS, charge(renewal_id), renewal_id)
    refused = psp.call("POST", INTENTS, charge(renewal_id, amount_minor=1), renewal_id)
    assert (refused.status, refused.document["error"]["code"]) == (400, "idempotency_error")
    assert effects(psp, renewal_id) == ["captured"]


def test_an_answer_that_never_came_is_replayed(psp: Server, renewal_id: str) -> None:
    document = charge(renewal_id, "tok_timeout_after")
    with pytest.raises(TimeoutError):
        psp.call("POST", INTENTS, document, renewal_id, timeout=0.2)
    assert psp.call("POST", INTENTS, document, renewal_id).document["status"] == "succeeded"
    assert effects(psp, renewal_id) == ["captured"]


def test_a_call_that_never_arrived_did_nothing(carrier: Server, renewal_id: str) -> None:
    document = topup(renewal_id, "8999990300000000017")
    with pytest.raises(TimeoutError):
        carrier.call("POST", "/v1/topups", document, renewal_id, timeout=0.2)
    assert effects(carrier, renewal_id) == []


def test_a_slow_answer_comes_late_and_a_repeat_meanwhile_is_told_so(carrier: Server, renewal_id: str) -> None:
    rule = {"operation": "apply_topup", "behaviour": "slow", "seconds": 0.3, "count": 1}
    assert carrier.call("PUT", "/faults", [rule]).status == 200
    with carrier.socket() as waiting:
        body = orjson.dumps(topup(renewal_id))
        head = f"POST /v1/topups HTTP/1.1\r\nIdempotency-Key: {renewal_id}\r\nContent-Length: {len(body)}"
        waiting.sendall(head.encode() + b"\r\n\r\n" + body)
        wait_until(lambda: effects(carrier, renewal_id))
        early = carrier.call("POST", "/v1/topups", topup(renewal_id), renewal_id)
        assert early.document["error"]["code"] == "idempotency_key_in_use"
        assert waiting.recv(65536).startswith(b"HTTP/1.1 201")
    assert carrier.call("POST", "/v1/topups", topup(renewal_id), renewal_id).status == 201
    assert carrier.call("DELETE", "/faults").status == 200


def test_a_limited_call_is_told_when_to_come_back(psp: Server, renewal_id: str) -> None:
    limited = psp.call("POST", INTENTS, charge(renewal_id, "tok_rate_limited"))
    assert (limited.status, limited.headers["retry-after"]) == (429, "1")


def test_garbage_is_no_json(psp: Server, renewal_id: str) -> None:
    answer = psp.call("POST", INTENTS, charge(renewal_id, "tok_garbage"))
    assert answer.status == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.body)


def test_what_is_late_happens_without_another_call(psp: Server, renewal_id: str) -> None:
    rule = {"operation": "create_intent", "behaviour": "late_success", "seconds": 0.1, "count": 1}
    psp.call("PUT", "/faults", [rule])
    assert psp.call("POST", INTENTS, charge(renewal_id)).status == 402
    wait_until(lambda: effects(psp, renewal_id))
    assert effects(psp, renewal_id) == ["captured"]


def test_the_journal_is_read_in_pages_and_as_lines(own_sandbox: Sandbox) -> None:
    for number in range(5):
        own_sandbox.carrier.call("POST", "/v1/topups", topup(f"r-{number}"), f"k-{number}")
    first = own_sandbox.carrier.call("GET", "/journal?limit=4").document
    second = own_sandbox.carrier.call("GET", f"/journal?after={first['next_after']}&limit=100").document
    assert [row["sequence"] for row in first["rows"] + second["rows"]] == list(range(1, 11))
    assert (first["more"], second["more"]) == (True, False)
    lines = own_sandbox.carrier.call("GET", "/journal?format=ndjson&kind=effect&limit=3")
    rows = [orjson.loads(line) for line in lines.body.splitlines()]
    assert [row["reference"] for row in rows] == ["r-0", "r-1", "r-2"]
    assert lines.headers["next-after"] == str(rows[-1]["sequence"])


@pytest.mark.parametrize(
    "query", ["after=-1", "limit=0", "limit=x", "kind=rumour", "format=xml", "after=1e3"]
)
def test_a_wrong_journal_query_is_refused(psp: Server, query: str) -> None:
    assert psp.call("GET", f"/journal?{query}").status == 400


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_both_remember_after_a_restart(own_sandbox: Sandbox, ending: str) -> None:
    paid = own_sandbox.psp.call("POST", INTENTS, charge("r-1"), "k-1")
    granted = own_sandbox.carrier.call("POST", "/v1/topups", topup("r-1"), "k-1")
    assert getattr(own_sandbox, ending)() == (0 if ending == "stop" else -9)
    own_sandbox.start()
    again = own_sandbox.psp.call("POST", INTENTS, charge("r-1"), "k-1")
    assert (again.body, again.headers["idempotent-replayed"]) == (paid.body, "true")
    assert own_sandbox.carrier.call("POST", "/v1/topups", topup("r-1"), "k-1").body == granted.body
    assert effects(own_sandbox.psp, "r-1") == ["captured"]
    assert effects(own_sandbox.carrier, "r-1") == ["applied"]


def test_another_memory_of_keys_may_be_chosen_at_each_start(own_sandbox: Sandbox) -> None:
    own_sandbox.psp.call("POST", INTENTS, charge("r-1"), "k-1")
    for seconds in ("0", "3600"):
        own_sandbox.stop()
        own_sandbox.start("--psp-keys-remembered-seconds", seconds)
        capabilities = own_sandbox.psp.call("GET", "/capabilities").document
        assert capabilities["keys_remembered_seconds"] == int(seconds)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--directory", "{directory}"], "in use by another sandbox"),
        (["--directory", "{directory}/new", "--psp-port", "{port}"], "address already in use"),
        (["--directory", "{directory}/new", "--webhook-url", "http://127.0.0.1:1/"], "go together"),
    ],
)
def test_what_cannot_start_says_why(shared_sandbox: Sandbox, more: list[str], reason: str) -> None:
    values: dict[str, Any] = {"directory": shared_sandbox.directory, "port": shared_sandbox.psp.port}
    command = [sys.executable, "-m", "deploy.sandbox", "--psp-port", "0", "--carrier-port", "0"]
    ended = subprocess.run(
        command + [part.format(**values) for part in more], capture_output=True, text=True, timeout=10
    )
    assert ended.returncode != 0
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr
