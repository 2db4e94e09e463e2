"""Kafka and PostgreSQL made ready to be started: formatted, with their settings written."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.children import Command
from deploy.local.home import Home, default_home
from deploy.local.kafka import KafkaNode
from deploy.local.ports import Ports
from deploy.local.postgres import PostgresServer, kept_secret
from deploy.local.postgres_account import account_for, reachable
from deploy.local.postgres_binaries import binaries_for, installed


def prepare_postgres(home: Home, ports: Ports, settings: Mapping[str, str]) -> PostgresServer:
    """Makes the server's data folder where its account can reach it, like its programs. Blocking."""
    account = account_for(os.geteuid())
    runtime = reachable(default_home() / "runtime", account)
    server = PostgresServer(
        binaries=binaries_for(account, installed(), runtime),
        stored=reachable(home.stored, account) / "postgres",
        port=ports.of("postgres"),
        account=account,
        password=kept_secret(home.secrets / "postgres"),
        settings=settings,
    )
    server.initialise_once()
    return server


def postgres_command(server: PostgresServer) -> Command:
    """SIGINT is PostgreSQL's fast shutdown: open transactions are rolled back, nothing needs recovery."""
    return Command("postgres", server.server_command(), account=server.account, stop_signal=signal.SIGINT)


def prepare_kafka(home: Home, jars: Sequence[Path], ports: Ports) -> KafkaNode:
    """Writes the node's settings and formats its folder at first start. Blocking."""
    node = KafkaNode(jars, home.stored / "kafka", home.run, ports.of("kafka"), ports.of("kafka-controller"))
    node.write_settings()
    node.format_once()
    return node


def kafka_command(node: KafkaNode) -> Command:
    return Command("kafka", node.server_command())
