"""Keys that were set aside are let go by two operators, as they saw them: nobody needs SQL."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from services.renewal.operators.__main__ import app as operators
from shared.clock import utc_now
from shared.http.application import create_app
from shared.http.server import HttpServer
from shared.messaging.consumer import ConsumerLoop
from shared.messaging.errors import DomainError
from shared.messaging.received import Received
from shared.messaging.transaction import Transaction
from shared.observability.health import Readiness
from shared.operators.set_aside_routes import SetAsideRoutes
from shared.operators.tokens import Role, Tokens, sign
from shared.operators.who import Gate
from tests.integration.messaging.conftest import Bench, until
from tests.integration.wired import Reply

SECRET = SecretStr("a secret of this test, 32 bytes and more")
WHY = "the defect is mended, ticket 12"
KEYS = "/v1/operator/set-aside"
PROPOSALS = "/v1/operator/set-aside-proposals"


@dataclass
class Desk:
    """The routes on the bench's tables, and a consumer that cannot handle 13 until it is mended."""

    bench: Bench
    port: int
    mended: bool = False
    handled: list[tuple[str, int]] = field(default_factory=list)

    async def handle(self, _transaction: Transaction, batch: Sequence[Received]) -> None:
        for received in batch:
            if received.message.number == 13 and not self.mended:
                raise DomainError("13 cannot be counted")
        self.handled += [(received.message.name, received.message.number) for received in batch]

    async def set_aside(self, *records: tuple[str, int]) -> ConsumerLoop:
        """Let a consumer read these; returns once all of broken keys wait."""
        for name, number in records:
            await self.bench.send(name, number)
        loop = await self.bench.consume(self.handle)
        await until(lambda: self._waiting(len(records)), "all set aside")
        return loop

    async def _waiting(self, count: int) -> bool:
        return bool(await self.bench.pool.fetchval("select count(*) from set_aside") == count)

    async def ask(
        self, method: str, path: str, body: object = None, name: str = "ana", role: Role = "operator"
    ) -> Reply:
        token = sign(SECRET, name, role, utc_now(), timedelta(hours=1))
        return await asyncio.to_thread(self._ask, method, path, body, token)

    def _ask(self, method: str, path: str, body: object, token: str) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return Reply(response.status, json.loads(response.read()))
        finally:
            connection.close()

    async def keys(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.ask("GET", KEYS)).body["items"]
        return items

    async def key(self, name: str) -> dict[str, Any]:
        [found] = [key for key in await self.keys() if key["key"] == name]
        return found

    async def release(self, *keys: dict[str, Any], by: str = "ana") -> Reply:
        seen = [{"key_id": key["key_id"], "version": key["version"]} for key in keys]
        return await self.ask("POST", f"{KEYS}/release", {"consumer": "tests", "keys": seen, "why": WHY}, by)

    async def decide(self, proposal: Reply, how: str = "approve", by: str = "ben") -> Reply:
        return await self.ask("POST", f"{PROPOSALS}/{proposal.body['proposal_id']}/{how}", {"why": WHY}, by)

    async def hold(self, key: dict[str, Any]) -> Reply:
        body = {"version": key["version"], "why": WHY}
        return await self.ask("POST", f"{KEYS}/tests/{key['key_id']}/hold", body)

    async def records(self, key: dict[str, Any]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.ask("GET", f"{KEYS}/tests/{key['key_id']}/records")).body[
            "items"
        ]
        return items

    async def discard(self, key: dict[str, Any], record: dict[str, Any]) -> Reply:
        body = {name: record[name] for name in ("topic", "partition", "offset")}
        body |= {"version": key["version"], "why": WHY}
        return await self.ask("POST", f"{KEYS}/tests/{key['key_id']}/discard", body)

    async def audit(self) -> list[dict[str, Any]]:
        """Oldest first."""
        items: list[dict[str, Any]] = (await self.ask("GET", "/v1/operator/set-aside-audit")).body["items"]
        return items[::-1]


@pytest.fixture
async def desk(bench: Bench) -> AsyncIterator[Desk]:
    gate = Gate(Tokens(SECRET, utc_now))
    never_discarded: set[str] = set()
    routes = SetAsideRoutes(bench.transactions, gate, never_discarded)
    app = create_app(
        title="Tests",
        description="Keys that were set aside.",
        routers=(routes.router,),
        readiness=Readiness({}),
        max_body_bytes=100_000,
    )
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        yield Desk(bench, server.port)
    finally:
        await server.stop(5)


async def test_what_waits_is_shown_with_its_cause_and_its_records_in_order(desk: Desk) -> None:
    await desk.set_aside(("bad", 13), ("bad", 1))
    [key] = await desk.keys()
    assert (key["consumer"], key["key"], key["records"]) == ("tests", "bad", 2)
    assert (key["reason"], key["type"]) == ("DomainError: 13 cannot be counted", "Ping")
    assert (key["released_at"], key["allowed"]) == (None, ["discard", "release"])
    records = await desk.records(key)
    assert [record["offset"] for record in records] == [0, 1]
    assert '"number":13' in records[0]["payload"]


async def test_a_key_that_two_let_go_is_handled_in_order_and_audited(desk: Desk) -> None:
    loop = await desk.set_aside(("bad", 13), ("bad", 1))
    key = await desk.key("bad")
    proposal = await desk.release(key)
    assert (proposal.status, proposal.body["state"]) == (202, "open")
    await loop._handling.refresh()
    assert desk.handled == [], "nobody has approved it"

    approved = await desk.decide(proposal)
    assert (approved.status, approved.body["state"]) == (200, "approved")
    assert (approved.body["done"], approved.body["moved"]) == ([key["key_id"]], [])
    desk.mended = True
    await loop._handling.refresh()
    assert desk.handled == [("bad", 13), ("bad", 1)]
    assert await desk.keys() == []

    proposed, done = await desk.audit()
    assert (proposed["operator"], proposed["step"], proposed["action"]) == ("ana", "proposed", "release")
    assert (done["operator"], done["step"], done["why"]) == ("ben", "approved", WHY)
    assert (done["before"]["released_at"], done["before"]["version"]) == (None, key["version"])
    assert done["after"]["released_at"] is not None


async def test_nobody_lets_a_key_go_alone(desk: Desk) -> None:
    await desk.set_aside(("bad", 13))
    proposal = await desk.release(await desk.key("bad"))
    reply = await desk.decide(proposal, by="ana")
    assert (reply.status, reply.problem) == (403, "second-person-needed")
    assert "Possible for ana now: reject." in reply.body["detail"]
    assert (await desk.key("bad"))["released_at"] is None
    rejected = await desk.decide(proposal, "reject", by="ana")
    assert (rejected.status, rejected.body["state"]) == (200, "rejected")
    late = await desk.decide(proposal)
    assert (late.status, late.problem) == (409, "set-aside-proposal-not-open")
    assert [deed["step"] for deed in await desk.audit()] == ["proposed", "rejected"]


async def test_what_queues_behind_a_key_meanwhile_is_let_go_with_it(desk: Desk) -> None:
    """The decision was about the record that broke; a busy key would never be approved else."""
    await desk.set_aside(("bad", 13))
    seen = await desk.key("bad")
    proposal = await desk.release(seen)
    await desk.bench.send("bad", 2)
    await until(lambda: desk._waiting(2), "queued behind")
    assert (await desk.key("bad"))["version"] == seen["version"]
    assert (await desk.decide(proposal)).status == 200


async def test_a_key_that_was_handled_and_set_aside_anew_has_to_be_looked_at_again(desk: Desk) -> None:
    loop = await desk.set_aside(("bad", 13))
    seen = await desk.key("bad")
    first, second = await desk.release(seen), await desk.release(seen)
    await desk.decide(first)
    desk.mended = True
    await loop._handling.refresh()
    gone = await desk.decide(second)
    assert (gone.status, gone.problem) == (404, "set-aside-key-not-found")

    desk.mended = False
    await desk.bench.send("bad", 13)
    await until(lambda: desk._waiting(1), "set aside anew")
    reply = await desk.decide(second)
    assert (reply.status, reply.problem) == (409, "set-aside-has-moved")
    assert reply.body["version"] == (await desk.key("bad"))["version"] != seen["version"]
    assert (await desk.release(seen)).problem == "set-aside-has-moved"


async def test_of_many_keys_only_those_that_are_as_they_were_seen_are_let_go(desk: Desk) -> None:
    loop = await desk.set_aside(("one", 13), ("two", 13), ("three", 13))
    one, two, three = [await desk.key(name) for name in ("one", "two", "three")]
    proposal = await desk.release(one, two)
    await desk.decide(await desk.release(two))
    approved = await desk.decide(proposal)
    assert (approved.body["done"], approved.body["moved"]) == ([one["key_id"]], [two["key_id"]])
    assert (await desk.key("three"))["released_at"] is None
    assert three["reason"] == one["reason"]
    desk.mended = True
    await loop._handling.refresh()
    assert sorted(desk.handled) == [("one", 13), ("two", 13)]


async def test_one_operator_keeps_back_a_key_that_fails_again(desk: Desk) -> None:
    loop = await desk.set_aside(("bad", 13))
    await desk.decide(await desk.release(await desk.key("bad")))
    await loop._handling.refresh()
    key = await desk.key("bad")
    assert (key["released_at"] is None, key["allowed"]) == (False, ["discard", "hold"])
    again = await desk.release(key)
    assert (again.status, again.problem) == (409, "set-aside-not-possible-now")
    assert again.body["allowed"] == ["discard", "hold"]
    held = await desk.hold(key)
    assert (held.status, held.body["released_at"]) == (200, None)
    assert (await desk.hold(key)).problem == "set-aside-not-possible-now"
    deed = (await desk.audit())[-1]
    assert (deed["operator"], deed["action"], deed["after"]["released_at"]) == ("ana", "hold", None)


async def test_a_record_that_must_never_be_handled_is_discarded_by_two_and_the_rest_let_go(
    desk: Desk,
) -> None:
    loop = await desk.set_aside(("bad", 13), ("bad", 1))
    key = await desk.key("bad")
    proposal = await desk.discard(key, (await desk.records(key))[0])
    assert (proposal.status, proposal.body["record_offset"]) == (202, 0)
    assert (await desk.decide(proposal, by="ana")).problem == "second-person-needed"
    assert (await desk.decide(proposal)).status == 200
    left = await desk.key("bad")
    assert (left["records"], left["version"] != key["version"]) == (1, True)
    deed = (await desk.audit())[-1]
    assert (deed["before"]["records"], deed["after"]["records"]) == (2, 1)
    await desk.decide(await desk.release(left))
    await loop._handling.refresh()
    assert desk.handled == [("bad", 1)]


async def test_a_record_that_is_not_there_is_not_discarded(desk: Desk) -> None:
    await desk.set_aside(("bad", 13), ("bad", 1))
    key = await desk.key("bad")
    for elsewhere in (
        {"topic": desk.bench.topic, "partition": 0, "offset": 2},
        {"topic": desk.bench.topic, "partition": 1, "offset": 0},
        {"topic": "another", "partition": 0, "offset": 0},
    ):
        reply = await desk.discard(key, elsewhere)
        assert (reply.status, reply.problem) == (404, "set-aside-record-not-found"), elsewhere
    assert await desk.audit() == []


async def test_what_tells_of_money_is_never_discarded(bench: Bench, desk: Desk) -> None:
    await desk.set_aside(("bad", 13))
    key = await desk.key("bad")
    routes = SetAsideRoutes(bench.transactions, Gate(Tokens(SECRET, utc_now)), {bench.topic})
    app = create_app(
        title="Tests",
        description="As every service serves them.",
        routers=(routes.router,),
        readiness=Readiness({}),
        max_body_bytes=100_000,
    )
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        careful = Desk(bench, server.port)
        reply = await careful.discard(key, (await careful.records(key))[0])
    finally:
        await server.stop(5)
    assert (reply.status, reply.problem) == (409, "set-aside-never-discarded")
    assert reply.body["allowed"] == ["release"]


async def test_only_an_operator_acts_and_a_viewer_looks(desk: Desk) -> None:
    await desk.set_aside(("bad", 13))
    looked = await desk.ask("GET", KEYS, role="viewer")
    assert (looked.status, len(looked.body["items"])) == (200, 1)
    [key] = looked.body["items"]
    seen = [{"key_id": key["key_id"], "version": key["version"]}]
    body = {"consumer": "tests", "keys": seen, "why": WHY}
    reply = await desk.ask("POST", f"{KEYS}/release", body, role="viewer")
    assert (reply.status, reply.problem) == (403, "role-not-sufficient")


async def test_what_nobody_knows_is_not_found(desk: Desk) -> None:
    nobody = {"key_id": "0123456789abcdef", "version": "0123456789ab"}
    assert (await desk.release(nobody)).problem == "set-aside-key-not-found"
    assert (await desk.hold(nobody)).problem == "set-aside-key-not-found"
    records = await desk.ask("GET", f"{KEYS}/tests/{nobody['key_id']}/records")
    assert (records.status, records.problem) == (404, "set-aside-key-not-found")
    id_ = "01234567-89ab-7def-8123-456789abcdef"
    for how in ("approve", "reject"):
        reply = await desk.ask("POST", f"{PROPOSALS}/{id_}/{how}", {"why": WHY})
        assert (reply.status, reply.problem) == (404, "set-aside-proposal-not-found")


async def test_keys_records_proposals_and_the_audit_come_in_pages(desk: Desk) -> None:
    await desk.set_aside(("one", 13), ("one", 1), ("two", 13), ("three", 13))
    keys = await desk.keys()
    for key in keys:
        await desk.release(key)
    one = await desk.key("one")
    for path, count in (
        (KEYS, 3),
        (f"{KEYS}/tests/{one['key_id']}/records", 2),
        (PROPOSALS, 3),
        ("/v1/operator/set-aside-audit", 3),
    ):
        whole = (await desk.ask("GET", path)).body["items"]
        paged, cursor = [], ""
        while True:
            page = (await desk.ask("GET", f"{path}?limit=1{cursor}")).body
            paged += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert (len(whole), paged) == (count, whole), path
    open_ones = await desk.ask("GET", f"{PROPOSALS}?state=open")
    assert len(open_ones.body["items"]) == 3


async def test_the_audit_of_keys_is_only_ever_added_to(desk: Desk) -> None:
    await desk.set_aside(("bad", 13))
    await desk.release(await desk.key("bad"))
    with pytest.raises(asyncpg.RaiseError, match="only ever added to"):
        await desk.bench.pool.execute("delete from set_aside_audit")


async def typed(desk: Desk, *words: str, name: str = "ana") -> str:
    """What a command prints that must succeed."""
    token = sign(SECRET, name, "operator", utc_now(), timedelta(hours=1))
    line = ["--url", f"http://127.0.0.1:{desk.port}", "--token", token, "set-aside", *words]
    ran = await asyncio.to_thread(CliRunner().invoke, operators, line)
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout


async def test_the_command_line_looks_proposes_approves_keeps_back_and_discards(desk: Desk) -> None:
    loop = await desk.set_aside(("one", 13), ("two", 13), ("two", 1))
    one, two = await desk.key("one"), await desk.key("two")
    listed = await typed(desk, "list", "payment", "--consumer", "tests")
    assert all(word in listed for word in (one["key_id"], two["version"], "DomainError: 13 cannot"))
    shown = await typed(desk, "show", "payment", "tests", two["key_id"])
    assert '"number":13' in shown
    assert '"number":1}' in shown

    alike = ("release-alike", "payment", "tests", "--reason", one["reason"], "--why", WHY)
    proposed = await typed(desk, *alike)
    [proposal_id] = re.findall(r"with: set-aside approve payment (\S+)", proposed)
    assert proposal_id in await typed(desk, "proposals", "payment", name="ben")
    approved = await typed(desk, "approve", "payment", proposal_id, "--why", WHY, name="ben")
    assert "release: 2 done, 0 moved." in approved
    await loop._handling.refresh()

    on_two = ("payment", "tests", two["key_id"], "--version", two["version"])
    assert two["key_id"] in await typed(desk, "hold", *on_two, "--why", WHY)
    assert (await desk.key("two"))["released_at"] is None
    where = ("--topic", desk.bench.topic, "--partition", "0", "--offset", "1", "--why", WHY)
    proposed = await typed(desk, "discard", *on_two, *where)
    [proposal_id] = re.findall(r"with: set-aside approve payment (\S+)", proposed)
    assert "discard: 1 done" in await typed(desk, "approve", "payment", proposal_id, "--why", WHY, name="ben")
    proposed = await typed(
        desk,
        "release",
        "payment",
        "tests",
        two["key_id"],
        "--version",
        (await desk.key("two"))["version"],
        "--why",
        WHY,
    )
    [proposal_id] = re.findall(r"with: set-aside approve payment (\S+)", proposed)
    assert "rejected by ben" in await typed(desk, "reject", "payment", proposal_id, "--why", WHY, name="ben")
    audited = await typed(desk, "audit", "payment", "--key", two["key_id"])
    assert re.search(r"ben +approved discard", audited)
    assert re.search(r"ana +done hold", audited)


def test_each_service_is_asked_at_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECARGA_PAYMENT_URL", "http://127.0.0.1:9")
    ran = CliRunner().invoke(operators, ["--token", "none", "set-aside", "list", "payment"])
    assert (ran.exit_code, "http://127.0.0.1:9 does not answer" in ran.stderr) == (1, True)
    monkeypatch.setenv("RECARGA_RENEWAL_URL", "http://127.0.0.1:10")
    ran = CliRunner().invoke(operators, ["--token", "none", "set-aside", "list", "payment"])
    assert "http://127.0.0.1:9 does not answer" in ran.stderr
    ran = CliRunner().invoke(operators, ["--token", "none", "set-aside", "list", "renewal"])
    assert "http://127.0.0.1:10 does not answer" in ran.stderr
