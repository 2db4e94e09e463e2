"""What the documents tell to change can be changed: docker-compose.yml passes it on to whoever reads it."""

import re
from pathlib import Path
from typing import Final

import pytest

from services import NAMES
from tests.unit.compose.files import REPOSITORY, RUNBOOKS
from tests.unit.compose.test_compose_file import VARIABLES, environment_of, settings_class

DOCUMENTS = sorted([*(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "docs" / "adr").glob("*.md")])
NAMED: Final = re.compile(r"\bRECARGA_(?P<begin>[A-Z][A-Z0-9_]*)(?P<more>\.\.\.(?P<end>_[A-Z0-9_]+)?)?")
SAID_BY_THE_FILE: Final = {"instance", "text_message_secret_files"}
"""It names its containers, and the secrets that it mounts, itself."""


def is_meant(setting: str, found: re.Match[str]) -> bool:
    """Whether the text names it, in full or as RECARGA_BEGINNING_... or RECARGA_BEGINNING_..._END."""
    begin, end = found["begin"].lower(), (found["end"] or "").lower()
    return setting.startswith(begin) and setting.endswith(end) if found["more"] else setting == begin


def settings_named(file: Path, service: str) -> set[str]:
    """The service's settings that the text names."""
    text = file.read_text()
    return {
        setting
        for found in NAMED.finditer(text)
        for setting in settings_class(service).model_fields
        if is_meant(setting, found)
    }


def is_passed_on(service: str, setting: str) -> bool:
    name = f"RECARGA_{setting}".upper()
    return environment_of(service, VARIABLES | {name: "told"}).get(name) == "told"


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_variable_of_a_runbook_is_a_setting_of_a_service(runbook: Path) -> None:
    settings = {setting for service in NAMES for setting in settings_class(service).model_fields}
    for found in NAMED.finditer(runbook.read_text()):
        assert any(is_meant(setting, found) for setting in settings), found[0]


@pytest.mark.parametrize("document", [*DOCUMENTS, *sorted(RUNBOOKS.glob("*.md"))], ids=lambda path: path.stem)
def test_every_setting_that_a_document_names_is_passed_on(document: Path) -> None:
    for service in NAMES:
        for setting in settings_named(document, service) - SAID_BY_THE_FILE:
            assert is_passed_on(service, setting), f"{service} is not told RECARGA_{setting.upper()}"


def test_what_is_said_by_the_file_is_told_each_service_that_reads_it() -> None:
    assert {service for service in NAMES if "RECARGA_INSTANCE" in environment_of(service)} == set(NAMES)
    assert "RECARGA_TEXT_MESSAGE_SECRET_FILES" in environment_of("renewal")


def test_settings_are_found_in_a_text(tmp_path: Path) -> None:
    text = tmp_path / "some.md"
    text.write_text("Raise RECARGA_PAYMENT_LIMITS, `RECARGA_RENEWAL_BURST_..._RENEWALS`, not `RECARGA_...`.")
    assert settings_named(text, "payment") == {"payment_limits"}
    assert settings_named(text, "renewal") == {
        "renewal_burst_renewals",
        "renewal_burst_brand_renewals",
        "renewal_burst_subscription_renewals",
    }
    text.write_text("It is data (`RECARGA_RENEWAL_BURST_...`).")
    assert len(settings_named(text, "renewal")) == 6


@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        ("payment", "RECARGA_PAYMENT_LIMITS", '{"connections": 20, "breaker_failures": 9}'),
        ("provisioning", "RECARGA_PROVISIONING_CARRIERS", '{"cubacel": {"cancels": false}}'),
        ("usage", "RECARGA_USAGE_CARRIERS", '{"cubacel": {"calls_per_second": 7}}'),
    ],
)
def test_what_is_told_a_gateway_reaches_the_settings_and_untold_they_keep_their_defaults(
    service: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each, told in environment_of(service, VARIABLES | {name: value}).items():
        monkeypatch.setenv(each, told)
    field = name.removeprefix("RECARGA_").lower()
    told_settings = settings_class(service)()
    monkeypatch.delenv(name)
    settings = settings_class(service)()
    default = settings_class(service).model_fields[field].get_default(call_default_factory=True)
    assert getattr(settings, field) == default
    assert getattr(told_settings, field) != default
