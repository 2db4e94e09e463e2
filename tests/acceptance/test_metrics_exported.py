"""Panels and alerts against what the running services really answer on /metrics."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from services import NAMES
from tests.acceptance.http_caller import send
from tests.acceptance.office import Office
from tests.unit.compose.exported import MADE_BY_PROMETHEUS, labels_in, metrics_in, sample_names
from tests.unit.compose.files import expressions

Scraped = Mapping[str, list[Metric]]
GIVEN_BY_PROMETHEUS = {"service", "instance", "job"}
"""Labels of the target; `le` is a histogram's own."""


@pytest.fixture(scope="module")
async def scraped(office: Office) -> Scraped:
    """What every service exports after a renewal has gone through all of them."""
    renewal_id = await office.begun(await office.seeded())
    await office.in_state(renewal_id, "completed")
    return {name: await scrape(office, name) for name in NAMES}


async def scrape(office: Office, process: str) -> list[Metric]:
    reply = await send(office.stack.service_url(process), "GET", "/metrics")
    assert reply.status == 200
    return list(text_string_to_metric_families(reply.content.decode()))


async def test_every_metric_of_a_panel_or_alert_is_exported_over_http(scraped: Scraped) -> None:
    exported = {name for families in scraped.values() for name in sample_names(families)} | MADE_BY_PROMETHEUS
    for where, expression in expressions():
        assert metrics_in(expression) <= exported, f"{where}: {sorted(metrics_in(expression) - exported)}"


async def test_every_label_of_a_panel_or_alert_is_one_of_its_metrics(scraped: Scraped) -> None:
    labels: dict[str, set[str]] = {}
    for families in scraped.values():
        for sample in (sample for family in families for sample in family.samples):
            labels.setdefault(sample.name, set()).update(sample.labels)
    for where, expression in expressions():
        for metric, label in labels_in(expression):
            known = labels.get(metric, {label}) | GIVEN_BY_PROMETHEUS
            assert label in known, f"{where}: {metric} has no {label}"


async def test_a_service_names_itself_as_prometheus_names_it(scraped: Scraped) -> None:
    for name, families in scraped.items():
        named = {
            sample.labels["service"]
            for each in families
            for sample in each.samples
            if "service" in sample.labels
        }
        assert named == {name}
