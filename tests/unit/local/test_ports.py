"""Ports can be moved, and a taken one is told with a way out."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from deploy.local.errors import LocalStackError, PortBusy
from deploy.local.ports import DEFAULT_PORTS, HOST, Ports, require_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_busy_port_names_the_port_its_user_and_the_setting(taken: int) -> None:
    with pytest.raises(PortBusy) as busy:
        require_free([("kafka", taken)])

    text = str(busy.value)
    assert f"Port {taken} (kafka)" in text
    assert f"(pid {os.getpid()})" in text
    assert "RECARGA_KAFKA_PORT" in text


def test_a_second_process_is_moved_by_its_services_setting(taken: int) -> None:
    with pytest.raises(PortBusy, match="set RECARGA_PAYMENT_PORT"):
        require_free([("payment-2", taken)])


def test_every_busy_port_is_told_at_once(taken: int) -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        with pytest.raises(PortBusy) as busy:
            require_free([("psp", taken), ("carrier", listener.getsockname()[1])])

    assert "RECARGA_PSP_PORT" in str(busy.value)
    assert "RECARGA_CARRIER_PORT" in str(busy.value)


def test_a_port_whose_listener_has_gone_is_free_at_once() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((HOST, port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # our side closes first and stays in TIME_WAIT
            client.recv(1)

    require_free([("kafka", port)])


def test_the_defaults_hold_where_nothing_is_set() -> None:
    assert Ports.configured({}).numbers == DEFAULT_PORTS


def test_an_offset_moves_every_port_but_those_set_by_themselves() -> None:
    ports = Ports.configured({"RECARGA_PORT_OFFSET": "1000", "RECARGA_KAFKA_PORT": "9092"})

    assert ports.of("postgres") == DEFAULT_PORTS["postgres"] + 1000
    assert ports.of("kafka") == 9092


@pytest.mark.parametrize("value", ["many", "0", "70000", "-1"])
def test_a_setting_that_is_no_port_is_refused_by_name(value: str) -> None:
    with pytest.raises(LocalStackError, match="RECARGA_KAFKA_PORT"):
        Ports.configured({"RECARGA_KAFKA_PORT": value})


def test_the_processes_of_a_service_have_ports_of_their_own() -> None:
    ports = Ports.configured({})
    numbers = [ports.of(name, replica) for name in DEFAULT_PORTS for replica in (1, 2, 3)]

    assert len(set(numbers)) == len(numbers)


def test_free_ports_differ_and_are_free() -> None:
    ports = Ports.free(replicas=2)

    assert len(set(ports.numbers.values())) == len(ports.numbers)
    require_free(ports.numbers.items())
