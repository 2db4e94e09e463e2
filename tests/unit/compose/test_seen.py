"""What a runbook, a document or an alert speaks of can be seen on the dashboard."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from tests.unit.compose.exported import MADE_BY_PROMETHEUS, exported_names, metrics_in
from tests.unit.compose.files import REPOSITORY, RUNBOOKS, alerts, dashboard

DOCUMENTS: Final = sorted([*(REPOSITORY / "docs").glob("*.md"), *RUNBOOKS.glob("*.md")])
NAMED: Final = re.compile(r"\brecarga_[a-z_]+[a-z]\b")
ASKED_BY_HAND: Final = re.compile(r"/metrics \| grep -E '(?P<pattern>[^']+)'")
PANEL: Final = re.compile(r"\bDashboard, \*(?P<title>[^*]+)\*")
ROW: Final = re.compile(r"\brow \*(?P<title>[^*]+)\*", re.IGNORECASE)
BRAKES: Final = {
    "recarga_gateway_breaker_state",
    "recarga_gateway_limited_total",
    "recarga_gateway_put_off_total",
    "recarga_gateway_queued_calls",
    "recarga_renewal_admitted_total",
    "recarga_renewal_bulk_total",
    "recarga_renewal_burst_breaker_open",
    "recarga_renewal_burst_breaker_trips_total",
    "recarga_renewal_charges_stopped",
    "recarga_renewal_kept_triggers",
    "recarga_renewal_reviews_near_limit",
    "recarga_renewal_reviews_oldest_seconds",
    "recarga_renewal_reviews_open",
    "recarga_renewal_text_messages_total",
    "recarga_renewal_timers_fired_total",
    "recarga_renewal_timers_held",
}
"""Whatever holds something back on purpose, and how much of it."""


def family(name: str) -> str:
    """A histogram's name, whichever of its samples is named."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


def metrics_of(panels: list[dict[str, Any]]) -> set[str]:
    asked = (target["expr"] for panel in panels for target in panel.get("targets", ()))
    return {family(name) for expression in asked for name in metrics_in(expression)}


PANELS: Final[list[dict[str, Any]]] = dashboard()["panels"]
SHOWN: Final = metrics_of(PANELS)
EXPORTED: Final = {family(name) for name in exported_names() if name.startswith("recarga_")}


def row(title: str) -> list[dict[str, Any]]:
    """The panels between that row's title and the next one's."""
    ordered = sorted(PANELS, key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))
    rows = [place for place, panel in enumerate(ordered) if panel["type"] == "row"]
    [begin] = [place for place in rows if ordered[place]["title"] == title]
    return ordered[begin + 1 : next((place for place in rows if place > begin), None)]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_metric_that_a_document_names_is_exported_and_on_the_dashboard(document: Path) -> None:
    named = {family(name) for name in NAMED.findall(document.read_text())}
    assert named <= EXPORTED
    assert named <= SHOWN, f"{document.name} speaks of what nobody sees: {sorted(named - SHOWN)}"


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_metric_that_a_runbook_asks_a_service_for_is_on_the_dashboard(runbook: Path) -> None:
    for found in ASKED_BY_HAND.finditer(runbook.read_text()):
        asked = {name for name in EXPORTED if re.search(found["pattern"], name)}
        assert asked, f"{found['pattern']} finds nothing"
        assert asked <= SHOWN, sorted(asked - SHOWN)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_every_metric_that_an_alert_or_its_text_names_is_on_the_dashboard(alert: dict[str, Any]) -> None:
    told = " ".join(str(each) for each in alert["annotations"].values())
    named = {family(name) for name in metrics_in(alert["expr"]) | set(NAMED.findall(told))}
    assert named <= SHOWN | MADE_BY_PROMETHEUS, sorted(named - SHOWN)


def test_every_brake_is_in_the_row_of_brakes() -> None:
    missing = BRAKES - metrics_of(row("Brakes"))
    assert not missing, sorted(missing)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_panel_and_row_to_which_a_document_leads_is_there(document: Path) -> None:
    text = " ".join(document.read_text().split())
    panels = {panel["title"] for panel in PANELS}
    rows = {panel["title"].partition(":")[0] for panel in PANELS if panel["type"] == "row"}
    for found in PANEL.finditer(text):
        assert found["title"] in panels
    for found in ROW.finditer(text):
        assert found["title"] in rows


def test_what_is_found_in_a_text_is_what_it_names() -> None:
    text = (
        "`recarga_renewal_parked` and recarga_usage_drift_bytes_bucket, curl /metrics | grep -E 'a_b|c(d|e)'"
    )
    assert {family(name) for name in NAMED.findall(text)} == {
        "recarga_renewal_parked",
        "recarga_usage_drift_bytes",
    }
    assert [found["pattern"] for found in ASKED_BY_HAND.finditer(text)] == ["a_b|c(d|e)"]
