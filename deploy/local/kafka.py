"""One Kafka node in KRaft mode, broker and controller in one JVM, on the loopback interface."""

from __future__ import annotations

import asyncio
import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.errors import LocalStackError
from deploy.local.java import find_java

HOST = "127.0.0.1"
FORMAT_TIMEOUT_SECONDS = 60

# Small because one laptop runs it: few internal partitions (each is files and start-up time), a small cleaner
# buffer (the default of 128 MB would be a quarter of the heap). Replication of 1 because there is one node.
#
# At a load of 12 the controller heard nothing of the broker in its own JVM for 9 s, the default, and fenced
# it: no partition had a leader, for nobody's good, as there is no other node. 20 s are ten heartbeats. Not
# longer: a node that was killed finds its own registration alive and waits as long before it may come back
# (22 s measured, 15 s with the default), and gives up after 60 s (initial.broker.registration.timeout.ms).
SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
broker.session.timeout.ms=20000
broker.heartbeat.interval.ms=2000
log.dirs={log_dir}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
"""

LOG4J2 = """\
Configuration:
  status: WARN
  Appenders:
    Console:
      name: stdout
      PatternLayout:
        pattern: "%d{ISO8601} %p %c{1} %m%n"
  Loggers:
    Root:
      level: INFO
      AppenderRef:
        - ref: stdout
    Logger:
      - name: org.apache.kafka.clients
        level: WARN
      - name: org.apache.kafka.common.config
        level: WARN
      - name: kafka.server.KafkaConfig
        level: WARN
"""


@dataclass(frozen=True, slots=True)
class KafkaNode:
    """What is needed to run the node: its jars, its folders and its ports."""

    jars: Sequence[Path]
    stored: Path
    run: Path
    port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def properties_file(self) -> Path:
        return self.run / "kafka.properties"

    def write_settings(self) -> None:
        """Settings are generated at each start: ports may change, data stays."""
        self.stored.mkdir(parents=True, exist_ok=True)
        self.run.mkdir(parents=True, exist_ok=True)
        self.properties_file.write_text(
            SERVER_PROPERTIES.format(
                host=HOST, port=self.port, controller_port=self.controller_port, log_dir=self.stored
            )
        )
        (self.run / "log4j2.yaml").write_text(LOG4J2)

    def java(self, *arguments: str) -> list[str]:
        classpath = os.pathsep.join(str(jar) for jar in self.jars)
        settings = f"-Dlog4j2.configurationFile={self.run / 'log4j2.yaml'}"
        return [str(find_java()), settings, "-cp", classpath, *arguments]

    def server_command(self) -> list[str]:
        # At a laptop's load the second compiler spends more CPU than it saves: half of Kafka's was compiling.
        flags = ["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return [*self.java(*flags, "kafka.Kafka"), str(self.properties_file)]

    def format_once(self) -> None:
        """Gives an empty folder its cluster id. Raises LocalStackError with Kafka's own words. Blocking."""
        if (self.stored / "meta.properties").exists():
            return
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if cluster_id.startswith("-"):
            cluster_id = "A" + cluster_id[1:]  # a leading dash would read as an option
        tool = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format"]
        command = self.java(*tool, "-t", cluster_id, "-c", str(self.properties_file))
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_SECONDS, check=False
        )
        if answer.returncode != 0:
            raise LocalStackError(
                f"Kafka could not format {self.stored}: {(answer.stderr or answer.stdout)[-800:]}"
            )


async def kafka_answers(bootstrap: str, timeout_seconds: float = 2.0) -> bool:
    """Whether the broker tells its cluster's metadata."""
    host, port = bootstrap.rsplit(":", 1)
    try:
        # A closed port is asked this way first: the admin client logs an error for each refusal.
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout_seconds)
        writer.close()
        client = AIOKafkaAdminClient(
            bootstrap_servers=bootstrap, request_timeout_ms=int(timeout_seconds * 1000)
        )
        try:
            await asyncio.wait_for(client.start(), timeout_seconds)
            answer = await asyncio.wait_for(client.describe_cluster(), timeout_seconds)
        finally:
            await client.close()
    except (OSError, KafkaError, TimeoutError):
        return False
    return bool(answer.get("brokers"))
