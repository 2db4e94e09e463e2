"""Which gateways are believed: those with a secret of their own that nobody could guess."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.renewal.settings import Settings
from services.renewal.text_messages.senders import Senders
from shared.http.problems import Problem

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "a secret of sixteen or more"


def settings(folder: Path, **secrets: str) -> Settings:
    files = {name: folder / name for name in secrets}
    for name, file in files.items():
        file.write_text(f"{secrets[name]}\n")
    return Settings(database_url="postgresql://nobody@127.0.0.1/none", text_message_secret_files=files)


def test_without_a_secret_there_is_no_gateway(tmp_path: Path) -> None:
    assert settings(tmp_path).text_message_secrets() == {}
    with pytest.raises(Problem) as refused:
        Senders({}, timedelta(minutes=5), lambda: NOON).check("sms-a", None, b"{}")
    assert (refused.value.status, refused.value.type) == (404, "text-message-gateway-unknown")


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    found = settings(tmp_path, sms=SECRET).text_message_secrets()
    assert found["sms"].get_secret_value() == SECRET
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        ({"sms": ""}, "shorter than"),
        ({"sms": "x" * 15}, "shorter than"),
        ({"sms-a": SECRET, "sms-b": SECRET}, "another gateway's"),
        ({"SMS": SECRET}, "no name of a gateway"),
        ({"sms:a": SECRET}, "no name of a gateway"),
    ],
)
def test_a_secret_that_protects_nothing_is_not_begun_with(
    tmp_path: Path, secrets: dict[str, str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        settings(tmp_path, **secrets).text_message_secrets()


def test_a_fingerprint_tells_numbers_and_texts_apart_and_needs_the_secret() -> None:
    def fingerprint(msisdn: str, text: str, secret: str = SECRET) -> bytes:
        senders = Senders({"sms": SecretStr(secret)}, timedelta(minutes=5), lambda: NOON)
        return senders.fingerprint("sms", msisdn, text)

    assert fingerprint("+5350000001", "1") == fingerprint("+5350000001", "1")
    others = [
        fingerprint("+5350000001", "2"),
        fingerprint("+5350000002", "1"),
        fingerprint("+5350000001", "1", SECRET.upper()),
    ]
    assert fingerprint("+5350000001", "1") not in others
