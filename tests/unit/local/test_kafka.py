"""What the one local Kafka node is told, and why it must stay so."""

from pathlib import Path

import pytest
import yaml

from deploy.local.home import REPOSITORY
from deploy.local.kafka import KafkaNode

DEFAULT_SESSION_MS = 9_000
REGISTRATION_GIVEN_UP_MS = 60_000
"""Kafka's initial.broker.registration.timeout.ms, which is not set here."""


@pytest.fixture
def told(tmp_path: Path) -> dict[str, str]:
    node = KafkaNode([], tmp_path / "data", tmp_path / "run", 19092, 19093)
    node.write_settings()
    lines = node.properties_file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_busy_machine_does_not_make_the_controller_fence_its_own_broker(told: dict[str, str]) -> None:
    session = int(told["broker.session.timeout.ms"])
    assert session >= 2 * DEFAULT_SESSION_MS
    assert session >= 10 * int(told["broker.heartbeat.interval.ms"])


def test_a_killed_node_may_register_again_before_it_gives_up(told: dict[str, str]) -> None:
    # Its last registration lives on for a session, counted from when the new controller is there.
    assert int(told["broker.session.timeout.ms"]) <= REGISTRATION_GIVEN_UP_MS / 2


def test_the_container_is_told_the_same(told: dict[str, str]) -> None:
    composed = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
    environment = composed["services"]["kafka"]["environment"]
    for setting in ("broker.session.timeout.ms", "broker.heartbeat.interval.ms"):
        assert environment["KAFKA_" + setting.upper().replace(".", "_")] == told[setting]
