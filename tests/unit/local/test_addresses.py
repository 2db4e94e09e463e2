"""Every process knows its own address, its own role and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.local.addresses import COMPONENTS, Addresses
from deploy.local.errors import LocalStackError
from deploy.local.home import Home
from deploy.local.ports import SERVICES, Ports
from services.renewal.customer_actions import PATH


def addresses(**options: object) -> Addresses:
    urls = {service: f"postgresql://recarga_{service}@127.0.0.1/recarga" for service in SERVICES}
    home, ports = Home(Path("/home/ana/.recarga")), Ports.configured({})
    return Addresses(home, ports, database_urls=urls, **options)  # type: ignore[arg-type]


def test_each_process_of_a_service_has_a_name_and_a_port_of_its_own() -> None:
    two = addresses(replicas=2)
    told = [two.environment_of(instance) for instance in two.instances]

    assert len({one["RECARGA_INSTANCE"] for one in told}) == 2 * len(SERVICES)
    assert len({one["RECARGA_HTTP_PORT"] for one in told}) == 2 * len(SERVICES)


def test_the_processes_of_one_service_share_its_role() -> None:
    two = addresses(replicas=2)

    for instance in ("payment-1", "payment-2"):
        assert "recarga_payment@" in two.environment_of(instance)["RECARGA_DATABASE_URL"]


def test_no_service_is_told_the_superusers_url() -> None:
    assert addresses().environment_of("usage-1")["DATABASE_URL"] == ""


def test_what_is_asked_for_overrides_the_environment_of_a_service() -> None:
    chosen = addresses(service_environment={"RECARGA_PSP_URL": "http://127.0.0.1:1"})

    assert chosen.environment_of("payment-1")["RECARGA_PSP_URL"] == "http://127.0.0.1:1"


def test_the_webhooks_of_the_sandbox_go_to_the_payment_service() -> None:
    words = list(addresses().sandbox_command().arguments)

    assert words[words.index("--webhook-url") + 1] == "http://127.0.0.1:18003/v1/webhooks/psp"


def test_every_process_of_renewal_checks_operators_tokens_with_one_secret() -> None:
    two = addresses(replicas=2)

    files = {two.environment_of(f"renewal-{n}")["RECARGA_OPERATOR_SECRET_FILE"] for n in (1, 2)}
    assert files == {str(two.home.operator_secret_file)}


def test_every_process_of_renewal_hears_the_local_sms_gateway() -> None:
    two = addresses(replicas=2)

    told = {two.environment_of(f"renewal-{n}")["RECARGA_TEXT_MESSAGE_SECRET_FILES"] for n in (1, 2)}
    assert [json.loads(each) for each in told] == [{"sandbox": str(two.home.text_message_secret_file)}]


def test_every_process_of_renewal_signs_payers_links_alike_and_they_lead_to_it() -> None:
    two = addresses(replicas=2)

    told = [two.environment_of(f"renewal-{n}") for n in (1, 2)]
    assert {each["RECARGA_CUSTOMER_LINK_SECRET_FILE"] for each in told} == {
        str(two.home.customer_link_secret_file)
    }
    assert {each["RECARGA_CUSTOMER_LINK_URL"] for each in told} == {
        f"http://127.0.0.1:{two.port_of('renewal')}{PATH}"
    }


def test_only_what_is_chosen_wants_a_port() -> None:
    chosen = addresses(components=frozenset({"postgres", "kafka"}))

    assert [name for name, _ in chosen.wanted_ports(own_postgres=False)] == ["kafka", "kafka-controller"]


@pytest.mark.parametrize(
    "components", [{"postgres", "tea"}, COMPONENTS - {"kafka"}], ids=["unknown", "missing"]
)
def test_a_choice_that_cannot_work_is_refused(components: set[str]) -> None:
    with pytest.raises(LocalStackError, match="component"):
        addresses(components=frozenset(components))
