"""A panel or an alert about a metric that nobody exports says nothing for ever: none may exist."""

import pytest

from tests.unit.compose.exported import MADE_BY_PROMETHEUS, exported_names, metrics_in
from tests.unit.compose.files import COMPOSE, expressions, read_yaml

EXPORTED = exported_names() | MADE_BY_PROMETHEUS


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_metric_of_a_panel_or_alert_is_exported(where: str, expression: str) -> None:
    named = metrics_in(expression)
    assert named, f"no metric was found in {expression}"
    assert named <= EXPORTED, f"{where} names what no service exports: {sorted(named - EXPORTED)}"


def test_the_alerts_are_tested_with_metrics_that_are_exported() -> None:
    series = [
        each["series"]
        for test in read_yaml(COMPOSE / "alerts_test.yml")["tests"]
        for each in test["input_series"]
    ]
    assert {name for each in series for name in metrics_in(each)} <= EXPORTED


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("max(a_total) > 300", {"a_total"}),
        ('sum by (service, consumer) (rate(b_total{result="c"}[5m])) / 60', {"b_total"}),
        ("increase(a[1h]) or increase(b[1h])", {"a", "b"}),
        ("histogram_quantile(0.99, sum by (le) (rate(h_bucket[$__rate_interval])))", {"h_bucket"}),
        ('label_values(up{job="recarga"}, service)', {"up", "service"}),
    ],
)
def test_metrics_are_found_in_expressions(expression: str, named: set[str]) -> None:
    assert metrics_in(expression) == named


def test_what_the_issue_asks_to_see_is_on_the_dashboard() -> None:
    shown = {name for _, expression in expressions() for name in metrics_in(expression)}
    assert shown >= {
        "recarga_renewal_closed_total",
        "recarga_renewal_in_flight",
        "recarga_renewal_step_seconds_bucket",
        "recarga_renewal_captured_unapplied",
        "recarga_outbox_oldest_seconds",
        "recarga_consumer_lag_records",
        "recarga_consumer_records_total",
    }
