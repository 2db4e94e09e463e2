"""Mandates and rules from CSV, as people import them, into the service itself."""

from pathlib import Path
from typing import Any

import pytest

from shared.contracts.renewal_rules import RenewalRuleChanged
from tests.integration.importing import Importing
from tests.integration.renewal.conftest import OFFERING, Subscriber, known
from tests.integration.wired import Wired

MANDATES = "services.renewal.rules.mandate_imports"
RULES = "services.renewal.rules.imports"
MANDATE_HEADER = (
    "subscription_id,mandate_id,payer_id,text_version,text_sha256,channel,given_at,language,"
    "max_amount_minor,currency"
)
RULE_HEADER = (
    "subscription_id,triggers,offering_id,payment_method_ids,cap_amount_minor,currency,"
    "quiet_hours.from_hour,quiet_hours.to_hour,quiet_hours.zone,mandate_id"
)
TEXT = "ab" * 32


def mandate(one: Subscriber, amount: int = 2000, given_at: str = "2025-06-01T10:00:00Z") -> str:
    return f"{one.subscription_id},m-1,{one.owner_id},terms-7,{TEXT},app,{given_at},es-CU,{amount},USD"


def rule(one: Subscriber, triggers: str = "exhausted;threshold:20%", mandate_id: str = "m-1") -> str:
    cards = ";".join(one.cards)
    return f"{one.subscription_id},{triggers},{OFFERING},{cards},950,USD,22,7,America/Havana,{mandate_id}"


@pytest.fixture
def of_mandates(renewal: Wired, tmp_path: Path) -> Importing:
    return Importing(MANDATES, renewal, tmp_path / "mandates.csv")


@pytest.fixture
def of_rules(renewal: Wired, tmp_path: Path) -> Importing:
    return Importing(RULES, renewal, tmp_path / "rules.csv")


async def imported(renewal: Wired, people: list[Subscriber], tmp_path: Path) -> None:
    importing = Importing(MANDATES, renewal, tmp_path / "first.csv")
    importing.write(MANDATE_HEADER, *map(mandate, people))
    assert (await importing.run()).status == 0


async def shown(renewal: Wired, one: Subscriber, what: str) -> dict[str, Any]:
    body: dict[str, Any] = (
        await renewal.request("GET", f"/v1/subscriptions/{one.subscription_id}/{what}")
    ).body
    return body


def told(renewal: Wired, people: list[Subscriber]) -> list[tuple[str, int]]:
    ids = {one.subscription_id for one in people}
    return [
        (said.subscription_id, said.version)
        for said in renewal.said(RenewalRuleChanged)
        if said.subscription_id in ids
    ]


async def test_mandates_are_evidence_and_the_same_file_again_changes_nothing(
    renewal: Wired, of_mandates: Importing
) -> None:
    people = await known(renewal, 3)
    of_mandates.write(MANDATE_HEADER, *map(mandate, people))
    for _ in range(2):
        ended = await of_mandates.run()
        assert ended.status == 0, ended.said
    for one in people:
        [found] = (await shown(renewal, one, "mandates"))["items"]
        assert (found["text_sha256"], found["max_amount_minor"]) == (TEXT, 2000)
    recorded = await renewal.pool.fetchval(
        "select count(*) from operator_audit where action = 'record mandate' and choice = any($1::text [])",
        [f"{one.subscription_id} m-1" for one in people],
    )
    assert recorded == len(people), "each is audited once"


async def test_a_mandate_with_other_contents_or_of_the_future_is_in_the_report_and_the_others_are_taken(
    renewal: Wired, of_mandates: Importing, tmp_path: Path
) -> None:
    before, future, good = await known(renewal, 3)
    await imported(renewal, [before], tmp_path)
    of_mandates.write(
        MANDATE_HEADER,
        mandate(before, amount=9000),
        mandate(future, given_at="2040-01-01T00:00:00Z"),
        mandate(good),
        mandate(good, amount=1),
    )
    assert (await of_mandates.run()).status == 3
    assert [line for line, _, _ in of_mandates.refused()] == [5, 2, 3] or [
        line for line, _, _ in of_mandates.refused()
    ] == [2, 3, 5]
    [kept] = (await shown(renewal, before, "mandates"))["items"]
    assert kept["max_amount_minor"] == 2000, "evidence never changes"
    assert len((await shown(renewal, good, "mandates"))["items"]) == 1


async def test_rules_are_as_their_lines_say_and_the_same_file_again_says_nothing(
    renewal: Wired, of_rules: Importing, tmp_path: Path
) -> None:
    people = await known(renewal, 3)
    await imported(renewal, people, tmp_path)
    of_rules.write(RULE_HEADER, *map(rule, people))
    for _ in range(2):
        ended = await of_rules.run()
        assert ended.status == 0, ended.said
    found = await shown(renewal, people[0], "renewal-rule")
    assert found["triggers"] == ["exhausted", {"kind": "threshold", "percent": 20}]
    assert found["quiet_hours"] == {"from_hour": 22, "to_hour": 7, "zone": "America/Havana"}
    assert found["mandate_id"] == "m-1"
    assert told(renewal, people) == [(one.subscription_id, 1) for one in people]


async def test_a_rule_without_its_mandate_or_with_a_slip_is_in_the_report(
    renewal: Wired, of_rules: Importing, tmp_path: Path
) -> None:
    without, slip, good = await known(renewal, 3)
    await imported(renewal, [slip, good], tmp_path)
    of_rules.write(RULE_HEADER, rule(without), rule(slip, triggers="threshold:0%"), rule(good))
    assert (await of_rules.run()).status == 3
    refused = {line: column for line, column, _ in of_rules.refused()}
    assert refused.keys() == {2, 3}
    assert told(renewal, [without, slip, good]) == [(good.subscription_id, 1)]


async def test_a_file_is_judged_without_being_sent(renewal: Wired, of_rules: Importing) -> None:
    [one] = await known(renewal)
    of_rules.write(RULE_HEADER, rule(one, mandate_id=""))
    assert (await of_rules.run("--check")).status == 0
    assert not told(renewal, [one])
