"""Where every part of a stack answers, and the command that starts each part of ours."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.children import Command
from deploy.local.errors import LocalStackError
from deploy.local.home import REPOSITORY, Home
from deploy.local.ports import HOST, SERVICES, Ports

COMPONENTS = frozenset({"postgres", "kafka", "sandbox", "services"})
WEBHOOK_PATH = "/v1/webhooks/psp"
CUSTOMER_LINK_PATH = "/v1/customer-actions"
SMS_GATEWAY = "sandbox"
"""Who brings what subscribers answer by text message; anybody who holds its secret, here."""


@dataclass(eq=False)
class Addresses:
    """A choice of components and services in one home, and what follows from it.

    `database_urls` (by service) are known once the roles are made.
    """

    home: Home
    ports: Ports
    components: frozenset[str] = COMPONENTS
    services: tuple[str, ...] = SERVICES
    replicas: int = 1
    service_environment: Mapping[str, str] = field(default_factory=dict)
    database_urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := self.components - COMPONENTS:
            raise LocalStackError(f"There is no component {', '.join(sorted(unknown))}.")
        if "services" in self.components and not {"postgres", "kafka"} <= self.components:
            raise LocalStackError("The services need postgres and kafka: choose these components as well.")

    @property
    def kafka_bootstrap(self) -> str:
        return f"{HOST}:{self.ports.of('kafka')}"

    @property
    def psp_url(self) -> str:
        return f"http://{HOST}:{self.ports.of('psp')}"

    @property
    def carrier_url(self) -> str:
        return f"http://{HOST}:{self.ports.of('carrier')}"

    @property
    def webhook_secret_file(self) -> Path:
        return self.home.secrets / "webhook"

    @property
    def operator_secret_file(self) -> Path:
        return self.home.operator_secret_file

    @property
    def customer_link_secret_file(self) -> Path:
        return self.home.customer_link_secret_file

    @property
    def text_message_secret_file(self) -> Path:
        return self.home.text_message_secret_file

    @property
    def instances(self) -> list[str]:
        """The names of all service processes: `payment-1`, `payment-2`, ..."""
        return [f"{service}-{n}" for service in self.services for n in range(1, self.replicas + 1)]

    def database_url(self, service: str) -> str:
        """The database as one service sees it: its own role, its own schema."""
        return self.database_urls[service]

    def port_of(self, instance: str) -> int:
        """The HTTP port of a service (its first process), or of one process such as `payment-2`."""
        service, _, number = instance.partition("-")
        return self.ports.of(service, int(number or 1))

    def service_url(self, name: str) -> str:
        """The HTTP address of a service, or of one process such as `payment-2`."""
        return f"http://{HOST}:{self.port_of(name)}"

    def wanted_ports(self, own_postgres: bool) -> list[tuple[str, int]]:
        """(name, port) of everything that is going to listen."""
        names = ["postgres"] if own_postgres else []
        names += ["kafka", "kafka-controller"] if "kafka" in self.components else []
        names += ["psp", "carrier"] if "sandbox" in self.components else []
        instances = self.instances if "services" in self.components else []
        return [(name, self.ports.of(name)) for name in names] + [
            (name, self.port_of(name)) for name in instances
        ]

    def sandbox_command(self) -> Command:
        """One process with both gateways; its webhooks go to the first payment process."""
        options = {
            "--psp-port": self.ports.of("psp"),
            "--carrier-port": self.ports.of("carrier"),
            "--directory": self.home.stored / "sandbox",
            "--webhook-url": self.service_url("payment") + WEBHOOK_PATH,
            "--webhook-secret-file": self.webhook_secret_file,
            # As an endpoint that subscribes to what happens later only: the answers tell the rest.
            "--webhooks": "untold",
        }
        words = [str(word) for option in options.items() for word in option]
        return Command("sandbox", [sys.executable, "-m", "deploy.sandbox", *words], folder=REPOSITORY)

    def service_command(self, instance: str) -> Command:
        """One process of a service, such as `payment-1`."""
        arguments = [sys.executable, "-m", f"services.{instance.partition('-')[0]}"]
        return Command(instance, arguments, self.environment_of(instance), folder=REPOSITORY)

    def environment_of(self, instance: str) -> dict[str, str]:
        """What a service process is told; `service_environment` has the last word."""
        return {
            "DATABASE_URL": "",  # the superuser's: no service of ours may use it
            "RECARGA_DATABASE_URL": self.database_url(instance.partition("-")[0]),
            "RECARGA_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "RECARGA_HTTP_HOST": HOST,
            "RECARGA_HTTP_PORT": str(self.port_of(instance)),
            "RECARGA_INSTANCE": instance,
            "RECARGA_PSP_URL": self.psp_url,
            "RECARGA_CARRIER_URL": self.carrier_url,
            "RECARGA_WEBHOOK_SECRET_FILE": str(self.webhook_secret_file),
            "RECARGA_OPERATOR_SECRET_FILE": str(self.operator_secret_file),
            "RECARGA_CUSTOMER_LINK_URL": self.service_url("renewal") + CUSTOMER_LINK_PATH,
            "RECARGA_CUSTOMER_LINK_SECRET_FILE": str(self.customer_link_secret_file),
            "RECARGA_TEXT_MESSAGE_SECRET_FILES": json.dumps(
                {SMS_GATEWAY: str(self.text_message_secret_file)}
            ),
            **self.service_environment,
        }
