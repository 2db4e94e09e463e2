"""What is read from files, what from services; and what a person is told where neither is there."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import typer
from typer.testing import CliRunner

from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from deploy.local.shadow import service
from deploy.local.shadow.__main__ import main
from deploy.local.shadow.files import Files
from deploy.local.shadow.kept import KeptMandate, KeptRule
from deploy.local.shadow.sources import SERVICE_OF, addresses, asked, told

EXAMPLE = Path(__file__).parents[3] / "docs" / "shadow"
USAGE, CHARGES, ANY = EXAMPLE / "usage.csv", EXAMPLE / "charges.csv", Path("any.csv")
T0 = datetime(2026, 10, 1, tzinfo=UTC)
SERVICES = ("provisioning", "renewal", "catalog", "payment")


def test_what_has_no_file_is_asked_of_the_services() -> None:
    assert asked(Files(USAGE, CHARGES)) == tuple(SERVICE_OF)
    assert asked(Files(USAGE, CHARGES, rules=ANY)) == tuple(kind for kind in SERVICE_OF if kind != "rules")


def test_no_service_is_asked_where_all_that_is_needed_is_a_file() -> None:
    files = Files(USAGE, CHARGES, ANY, ANY, ANY)
    assert asked(files) == ()
    assert told(files, {}) == (
        "From files: usage, charges, subscriptions, rules, offerings. "
        "Not known: buckets, mandates, prices, payment methods."
    )


def test_what_comes_from_where_is_one_line_and_nobody_is_said_to_know_the_buckets() -> None:
    counts = {"subscriptions": 5, "rules": 4, "mandates": 4, "prices": 1, "payment_methods": 0}
    assert told(Files(USAGE, CHARGES, offerings=ANY), counts) == (
        "From files: usage, charges, offerings. From the services, as they are now: subscriptions (5), "
        "rules (4), mandates (4), prices (1), payment methods (0). Not known: buckets. "
        "(The services only know what is left now.)"
    )


def test_an_address_that_the_environment_names_needs_no_stack_here(tmp_path: Path) -> None:
    environment = {"RECARGA_RENEWAL_URL": "http://renewal:8000", "RECARGA_CATALOG_URL": ""}
    home = Home.at(tmp_path)
    assert addresses(["rules", "mandates"], home, environment) == {"renewal": "http://renewal:8000"}
    with pytest.raises(LocalStackError, match="OFFERINGS="):
        addresses(["rules", "offerings"], home, environment)


# -- as people start it -----------------------------------------------------------------------------------


def command(tmp_path: Path, *options: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(main)
    named = ["--usage", str(USAGE), "--charges", str(CHARGES), "--out", str(tmp_path / "out.csv"), *options]
    ended = CliRunner().invoke(app, named)
    return ended.exit_code, ended.output


@pytest.fixture(autouse=True)
def nothing_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECARGA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.0)
    for name in SERVICES:
        monkeypatch.delenv(f"RECARGA_{name.upper()}_URL", raising=False)


def test_without_a_stack_one_line_says_what_to_do(tmp_path: Path) -> None:
    status, said = command(tmp_path)
    assert status == 2
    [line] = said.strip().splitlines()
    assert "name the files (SUBSCRIPTIONS= RULES= OFFERINGS=)" in line
    assert line.endswith("or bring the stack up: make up")


def test_a_file_that_is_not_there_is_told_before_a_service_is_asked(tmp_path: Path) -> None:
    status, said = command(tmp_path, "--buckets", str(tmp_path / "missing.csv"))
    assert (status, "missing.csv cannot be read" in said) == (2, True)


def test_a_service_that_does_not_answer_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for name in SERVICES:
            monkeypatch.setenv(f"RECARGA_{name.upper()}_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")
        status, said = command(tmp_path)
    assert status == 2
    [line] = said.strip().splitlines()
    assert "provisioning at http://127.0.0.1:" in line
    assert "make up" in line


@contextmanager
def somebody(status: int, body: bytes) -> Iterator[str]:
    """Something else at the address, that answers every request alike."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_said: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (422, b"{}", "answered 422 to GET /v1/subscriptions"),
        (503, b"{}", "answered 503 to GET /v1/subscriptions"),
        (200, b"<html>", "in another form"),
        (200, b"[]", "in another form"),
        (200, b'{"items": [{}], "next_cursor": null}', "'subscription_id' is missing"),
        (
            200,
            b'{"items": [{"subscription_id": "sub-1", "iccid": "secret"}], "next_cursor": null}',
            "brand: Field required",
        ),
    ],
)
def test_whoever_else_answers_there_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, told: str
) -> None:
    with somebody(status, body) as url:
        for name in SERVICES:
            monkeypatch.setenv(f"RECARGA_{name.upper()}_URL", url)
        ended, said = command(tmp_path)
    assert ended == 2
    [line] = said.strip().splitlines()
    assert told in line


def test_a_list_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_PAGES", 3)
    with somebody(200, b'{"items": [], "next_cursor": "again"}') as url:
        for name in SERVICES:
            monkeypatch.setenv(f"RECARGA_{name.upper()}_URL", url)
        status, said = command(tmp_path)
    assert (status, "more than 3 pages of /v1/subscriptions" in said) == (2, True)


# -- what only a service knows ------------------------------------------------------------------------------


def mandate(**different: object) -> KeptMandate:
    body: dict[str, object] = {
        "subscription_id": "sub-1",
        "mandate_id": "m-1",
        "payer_id": "ana",
        "text_version": "terms-7",
        "text_sha256": "ab" * 32,
        "channel": "app",
        "given_at": (T0 + timedelta(days=40)).isoformat(),
        "language": "es",
        "max_amount_minor": 1500,
        "currency": "USD",
    }
    return KeptMandate.model_validate(body | different)


def test_the_word_of_whoever_imported_a_rule_holds_from_the_beginning_of_the_month_on() -> None:
    evidence, word = mandate(), mandate(text_sha256=None)
    assert evidence.mandate(T0).given_at == T0 + timedelta(days=40)
    assert word.mandate(T0).given_at == T0


def test_a_revoked_mandate_stays_revoked() -> None:
    assert mandate().mandate(T0).revoked_at is None
    assert mandate(revoked_at="2026-11-01T00:00:00Z").mandate(T0).revoked_at is not None


def test_a_rule_that_is_paused_now_is_paused() -> None:
    body = {
        "subscription_id": "sub-1",
        "triggers": ["exhausted"],
        "offering_id": "o-1",
        "payment_method_ids": ["pm-1"],
        "cap_amount_minor": 1500,
        "currency": "USD",
    }
    pause = {"at": "2026-11-01T00:00:00Z", "by": "olga", "why": "a complaint"}
    assert KeptRule.model_validate(body).rule.pause is None
    paused = KeptRule.model_validate(body | {"paused": pause}).rule.pause
    assert paused is not None
    assert (paused.by, paused.why) == ("olga", "a complaint")
