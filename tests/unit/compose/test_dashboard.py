"""The overview can be loaded, fits its grid, and explains itself."""

from itertools import combinations
from typing import Any

import pytest

from tests.unit.compose.files import COMPOSE, alerts, dashboard, read_yaml

COLUMNS = 24
PROVISIONING = COMPOSE / "grafana" / "provisioning"
PANELS = dashboard()["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or below)


def test_no_two_panels_overlap_and_none_leaves_the_grid() -> None:
    for one, other in combinations(PANELS, 2):
        assert not overlap(one["gridPos"], other["gridPos"]), f"{one['title']} covers {other['title']}"
    assert all(p["gridPos"]["x"] >= 0 and p["gridPos"]["x"] + p["gridPos"]["w"] <= COLUMNS for p in PANELS)


def test_panels_have_ids_of_their_own_and_titles() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["title"] for panel in PANELS)


@pytest.mark.parametrize("panel", GRAPHS, ids=lambda panel: panel["title"])
def test_every_panel_says_what_it_shows_and_in_what_unit(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]


def test_every_query_asks_the_provisioned_data_source() -> None:
    (source,) = read_yaml(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    asked = {target["datasource"]["uid"] for panel in GRAPHS for target in panel["targets"]}
    asked |= {variable["datasource"]["uid"] for variable in dashboard()["templating"]["list"]}
    assert asked == {source["uid"]}


def test_the_thresholds_of_the_first_row_are_those_of_the_alerts() -> None:
    limits = {
        alert["alert"]: alert["expr"].rsplit(">", 1)[-1].strip() for alert in alerts() if ">" in alert["expr"]
    }
    red = {
        panel["title"]: panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
        for panel in GRAPHS
        if panel["type"] == "stat"
    }
    assert red["Oldest capture without data"] == int(limits["CapturedButUnapplied"])
    assert red["Oldest event in an outbox"] == int(limits["OutboxStuck"])
    assert red["Parked"] == int(limits["RenewalsParked"]) + 1


def test_the_service_can_be_chosen_and_each_has_a_row() -> None:
    (variable,) = dashboard()["templating"]["list"]
    assert variable["name"] == "service"
    assert [panel["repeat"] for panel in PANELS if "repeat" in panel] == ["service"]


def test_the_provider_reads_the_folder_that_compose_mounts() -> None:
    (provider,) = read_yaml(PROVISIONING / "dashboards" / "recarga.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
