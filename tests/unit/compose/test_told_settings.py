"""What the documents tell to change can be changed: docker-compose.yml passes it on to whoever reads it."""

import re
from pathlib import Path
from typing import Final

import pytest

from services import NAMES
from tests.unit.compose.files import REPOSITORY, RUNBOOKS
from tests.unit.compose.test_compose_file import VARIABLES, environment_of, settings_class

DOCUMENTS = sorted((REPOSITORY / "docs").glob("*.md"))
NAMED: Final = re.compile(r"\bRECARGA_(?P<name>[A-Z][A-Z0-9_]*)(?P<more>\.\.\.)?")
SAID_BY_THE_FILE: Final = {"instance", "text_message_secret_files"}
"""It names its containers, and the secrets that it mounts, itself."""


def settings_named(file: Path, service: str) -> set[str]:
    """The service's settings that the text names, by name or as RECARGA_BEGINNING_..."""
    return {
        field
        for found in NAMED.finditer(file.read_text())
        for field in settings_class(service).model_fields
        if field == found["name"].lower() or (found["more"] and field.startswith(found["name"].lower()))
    }


def is_passed_on(service: str, setting: str) -> bool:
    name = f"RECARGA_{setting}".upper()
    return environment_of(service, VARIABLES | {name: "told"}).get(name) == "told"


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_variable_of_a_runbook_is_a_setting_of_a_service(runbook: Path) -> None:
    fields = {field for service in NAMES for field in settings_class(service).model_fields}
    for found in NAMED.finditer(runbook.read_text()):
        name = found["name"].lower()
        assert name in fields or (found["more"] and any(field.startswith(name) for field in fields)), name


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
    text.write_text("Raise RECARGA_PAYMENT_LIMITS or (`RECARGA_RENEWAL_BURST_...`), not `RECARGA_...`.")
    assert settings_named(text, "payment") == {"payment_limits"}
    bursts = {name for name in settings_class("renewal").model_fields if name.startswith("renewal_burst_")}
    assert settings_named(text, "renewal") == bursts
    assert len(bursts) == 6


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
