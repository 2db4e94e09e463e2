"""docker-compose.yml is valid, open to this machine only, starts in order and says what settings read."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import HttpUrl

from deploy.compose.passwords import (
    CUSTOMER_LINK_SECRET,
    DEFAULTS,
    OPERATOR_SECRET,
    PASSWORDS,
    TEXT_MESSAGE_SECRET,
    WEBHOOK_SECRET,
)
from deploy.local.ports import DEFAULT_PORTS
from deploy.local.postgres_binaries import SERVER, installed
from services import NAMES
from shared.http.server import is_loopback
from shared.settings import Settings
from tests.unit.compose.files import (
    COMPOSE,
    REPOSITORY,
    compose_file,
    interpolated,
    read_yaml,
    required_variables,
)

TEXT = (REPOSITORY / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = compose_file()["services"]
OURS = (*NAMES, "prepare", "sandbox")
PORT = re.compile(r"127\.0\.0\.1:\$\{(?P<variable>[A-Z_]+):-(?P<host>\d+)\}:(?P<container>\d+)")
VARIABLES = dict.fromkeys(PASSWORDS, "a-password")


def environment_of(service: str, variables: Mapping[str, str] = VARIABLES) -> dict[str, str]:
    """What a container is told: a variable without a value is passed on where it is set, else left out."""
    given = SERVICES[service].get("environment", {}).items()
    told = {
        name: variables.get(name) if value is None else interpolated(value, variables)
        for name, value in given
    }
    return {name: value for name, value in told.items() if value is not None}


def settings_class(service: str) -> type[Settings]:
    found: type[Settings] = import_module(f"services.{service}.settings").Settings
    return found


def test_it_is_valid_by_the_compose_specification() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_of_ours_is_there() -> None:
    assert set(NAMES) <= set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_published_on_this_machine_only(service: str) -> None:
    for port in SERVICES[service].get("ports", ()):
        assert PORT.fullmatch(port), f"{service} publishes {port}"


def test_no_two_services_publish_the_same_port_and_the_known_ones_are_those_of_make_up() -> None:
    published = [
        (found["variable"], int(found["host"]))
        for service in SERVICES.values()
        for port in service.get("ports", ())
        if (found := PORT.fullmatch(port))
    ]
    assert len({host for _, host in published}) == len(published)
    named = {
        variable.removeprefix("RECARGA_").removesuffix("_PORT").lower(): host for variable, host in published
    }
    assert {name: named[name] for name in DEFAULT_PORTS if name in named} == {
        name: port for name, port in DEFAULT_PORTS.items() if name != "kafka-controller"
    }


@pytest.mark.parametrize("service", NAMES)
def test_every_variable_of_a_service_is_one_that_its_settings_read(service: str) -> None:
    known = {f"RECARGA_{name}".upper() for name in settings_class(service).model_fields}
    assert set(SERVICES[service]["environment"]) <= known


@pytest.mark.parametrize("service", NAMES)
def test_the_settings_accept_what_a_service_is_told(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_of(service).items():
        monkeypatch.setenv(name, value)
    settings = settings_class(service)()
    assert settings.kafka_bootstrap == "kafka:9092"
    assert not is_loopback(settings.http_host)
    assert settings.http_allow_non_loopback
    assert settings.http_port == 8080
    assert settings.instance == f"{service}-1"
    assert f"recarga_{service}:a-password@postgres" in settings.database_url.get_secret_value()


def test_services_find_the_sandbox_where_it_listens() -> None:
    sandbox = {"psp_url": "http://sandbox:9100", "carrier_url": "http://sandbox:9200"}
    asked = {
        service: [
            name
            for name, field in settings_class(service).model_fields.items()
            if field.annotation is HttpUrl
        ]
        for service in NAMES
    }
    # Untold, each of these is of the service's own container, where nobody listens.
    for service, names in asked.items():
        for name in names:
            assert environment_of(service)[f"RECARGA_{name}".upper()] == sandbox[name], f"{service}: {name}"
    assert {name for names in asked.values() for name in names} == set(sandbox)
    assert {PORT.fullmatch(port)["container"] for port in SERVICES["sandbox"]["ports"]} == {"9100", "9200"}  # type: ignore[index]


def test_prometheus_scrapes_every_service_where_it_listens() -> None:
    (ours,) = (
        job for job in read_yaml(COMPOSE / "prometheus.yml")["scrape_configs"] if job["job_name"] == "recarga"
    )
    scraped = {each["labels"]["service"]: each["targets"] for each in ours["static_configs"]}
    port = environment_of("renewal")["RECARGA_HTTP_PORT"]
    assert scraped == {name: [f"{name}:{port}"] for name in NAMES}


@pytest.mark.parametrize("service", NAMES)
def test_a_service_starts_after_everything_is_prepared(service: str) -> None:
    assert SERVICES[service]["depends_on"] == {
        "prepare": {"condition": "service_completed_successfully"},
        "postgres": {"condition": "service_healthy"},
        "kafka": {"condition": "service_healthy"},
    }


@pytest.mark.parametrize("service", SERVICES)
def test_whatever_is_waited_for_has_a_health_check_and_every_dependency_exists(service: str) -> None:
    for name, dependency in SERVICES[service].get("depends_on", {}).items():
        assert name in SERVICES
        if dependency["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[name]
        # With a profile left out, compose refuses a service that waits for one of it.
        assert set(SERVICES[name].get("profiles", ())) <= set(SERVICES[service].get("profiles", ()))


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_bounded_and_has_no_more_rights_than_it_needs(service: str) -> None:
    container = SERVICES[service]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"]
    assert container["logging"]["options"]["max-size"]
    assert not container.get("privileged", False)
    assert container.get("read_only", False) or service == "kafka"


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in OURS])
def test_images_of_others_are_pinned_to_a_version(service: str) -> None:
    tag = SERVICES[service]["image"].partition(":")[2]
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag), SERVICES[service]["image"]


def test_kafka_is_the_version_of_make_up() -> None:
    locked = (REPOSITORY / "deploy" / "local" / "artifacts.lock.json").read_text()
    assert f"org.apache.kafka:kafka_2.13:{SERVICES['kafka']['image'].partition(':')[2]}:jar" in locked


def test_postgresql_is_the_major_version_of_make_up() -> None:
    server = [str(installed() / SERVER / "bin" / "postgres"), "--version"]
    told = subprocess.run(server, capture_output=True, text=True, timeout=20, check=True).stdout
    major, _, _ = SERVICES["postgres"]["image"].partition(":")[2].partition(".")
    assert f"(PostgreSQL) {major}." in told


def test_every_password_is_written_beforehand_and_none_stands_in_the_file() -> None:
    assert required_variables(TEXT) == set(PASSWORDS)
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name:
                assert str(value).startswith("${"), f"{name} is written out"


def test_the_profiles_are_those_that_passwords_writes() -> None:
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert profiles == set(DEFAULTS["COMPOSE_PROFILES"].split(","))


def test_the_secret_of_the_webhooks_is_the_file_that_passwords_writes() -> None:
    assert Path(compose_file()["secrets"]["webhook"]["file"]) == WEBHOOK_SECRET
    assert environment_of("payment")["RECARGA_WEBHOOK_SECRET_FILE"] == "/run/secrets/webhook"
    assert "--webhook-secret-file=/run/secrets/webhook" in SERVICES["sandbox"]["command"]
    assert [name for name, service in SERVICES.items() if "webhook" in service.get("secrets", ())] == [
        "payment",
        "sandbox",
    ]


def test_the_secret_of_operators_tokens_is_known_to_every_service_and_to_nobody_else() -> None:
    assert Path(compose_file()["secrets"]["operator"]["file"]) == OPERATOR_SECRET
    told = [name for name, service in SERVICES.items() if "operator" in service.get("secrets", ())]
    assert told == ["renewal", "catalog", "payment", "provisioning", "usage"]
    for name in told:
        assert environment_of(name)["RECARGA_OPERATOR_SECRET_FILE"] == "/run/secrets/operator"


def test_the_secret_of_the_sms_gateway_is_known_to_the_one_service_that_hears_it() -> None:
    assert Path(compose_file()["secrets"]["text-messages"]["file"]) == TEXT_MESSAGE_SECRET
    told = environment_of("renewal")["RECARGA_TEXT_MESSAGE_SECRET_FILES"]
    assert json.loads(told) == {"sandbox": "/run/secrets/text-messages"}
    assert [name for name, service in SERVICES.items() if "text-messages" in service.get("secrets", ())] == [
        "renewal"
    ]


def test_the_secret_of_payers_links_is_known_to_the_one_service_that_makes_them() -> None:
    assert Path(compose_file()["secrets"]["customer-link"]["file"]) == CUSTOMER_LINK_SECRET
    assert environment_of("renewal")["RECARGA_CUSTOMER_LINK_SECRET_FILE"] == "/run/secrets/customer-link"
    assert [name for name, service in SERVICES.items() if "customer-link" in service.get("secrets", ())] == [
        "renewal"
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_files_that_are_mounted_exist_and_are_read_only(service: str) -> None:
    for volume in SERVICES[service].get("volumes", ()):
        source, _, target = volume.partition(":")
        if source.startswith("."):
            assert (REPOSITORY / source).exists(), source
            assert target.endswith(":ro")
        else:
            assert source in compose_file()["volumes"]
