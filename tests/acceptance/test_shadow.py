"""`make shadow` where everything was imported: the month is judged upon what the services know."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.home import REPOSITORY
from deploy.local.shadow import running
from deploy.local.shadow.progress import Progress
from deploy.local.shadow.shelf import Shelf
from deploy.local.shadow.sources import SERVICE_OF
from tests.acceptance.office import Office

EXAMPLE = REPOSITORY / "docs" / "shadow"
IMPORTS = {
    "offerings": ("services.catalog.offerings.imports", "catalog"),
    "prices": ("services.catalog.prices.imports", "catalog"),
    "subscriptions": ("services.provisioning.subscriptions.imports", "provisioning"),
    "payment_methods": ("services.payment.methods.imports", "payment"),
    "mandates": ("services.renewal.rules.mandate_imports", "renewal"),
    "rules": ("services.renewal.rules.imports", "renewal"),
}
IMPORTED = ("subscriptions", "rules", "mandates", "offerings", "prices")
"""What the example has a file of, and the services know after the import."""

PEOPLE = ("ana", "bea", "dora", "elio")
TABLES = {
    "subscriptions": "provisioning.subscriptions",
    "rules": "renewal.renewal_rules",
    "mandates": "renewal.mandates",
    "payment_methods": "payment.payment_methods",
}
PAGES = 3
"""Or more: the lists are of all tests before, some of a few lines, some of more than so many pages hold."""
DEADLINE_SECONDS = 180


@dataclass(frozen=True)
class Ended:
    """A command that has ended well: the first line of what it said, the others, and its two files."""

    sources: str
    summary: list[str]
    lines: str
    sums: str

    @classmethod
    def with_files(cls, said: str, out: Path) -> Ended:
        sources, *summary, _where_it_is = said.splitlines()
        sums = out.with_name(f"{out.stem}.subscriptions.csv")
        return cls(sources, summary, out.read_text(encoding="utf-8"), sums.read_text(encoding="utf-8"))


async def run(*words: str, environment: Mapping[str, str] | None = None) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RECARGA_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *words,
        cwd=REPOSITORY,
        env={**inherited, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            said, wrong = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (words, said.decode(), wrong.decode())
    return said.decode()


async def shadow(office: Office, out: Path, *kinds: str) -> Ended:
    """The comparison with these kinds from the example's files, and all others from wherever they are."""
    files = ("usage", "charges", "buckets", *kinds)
    options = [word for kind in files for word in (f"--{kind}", str(EXAMPLE / f"{kind}.csv"))]
    home = {"RECARGA_HOME": str(office.stack.home.path)}
    said = await run("deploy.local.shadow", *options, "--out", str(out), environment=home)
    return Ended.with_files(said, out)


@pytest.fixture(scope="module")
async def imported(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Office:
    """The stack after everything of the example was imported, and nothing else of its subscriptions."""
    folder = tmp_path_factory.mktemp("shadow") / "example"
    shutil.copytree(EXAMPLE, folder)
    methods = [f"pm-{name},{name},card,tok_ok_{name}" for name in PEOPLE]
    text = "\n".join(["payment_method_id,payer_id,kind,token", *methods, ""])
    (folder / "payment_methods.csv").write_text(text, encoding="utf-8")
    for kind, (module, service) in IMPORTS.items():
        await run(module, str(folder / f"{kind}.csv"), "--url", office.stack.service_url(service))
    return office


async def test_the_services_that_imported_a_month_give_what_its_files_give(
    imported: Office, tmp_path: Path
) -> None:
    of_files = await shadow(imported, tmp_path / "files.csv", *IMPORTED)
    of_services = await shadow(imported, tmp_path / "services.csv")

    assert of_services.lines == of_files.lines == (EXAMPLE / "lines.csv").read_text(encoding="utf-8")
    assert of_services.sums == of_files.sums
    assert of_services.summary == of_files.summary
    assert of_files.sources.startswith("From files: usage, charges, buckets, subscriptions, rules")
    assert of_services.sources.startswith("From files: usage, charges, buckets. From the services, as they")


@pytest.mark.parametrize("kind", IMPORTED)
async def test_any_one_kind_may_come_from_a_file_and_the_others_from_the_services(
    imported: Office, tmp_path: Path, kind: str
) -> None:
    mixed = await shadow(imported, tmp_path / "mixed.csv", kind)
    assert mixed.lines == (EXAMPLE / "lines.csv").read_text(encoding="utf-8")


async def test_what_was_paused_and_removed_since_renews_nothing(imported: Office, tmp_path: Path) -> None:
    rule = "/v1/subscriptions/sub-ana/renewal-rule"
    why = {"why": "she has lost her telephone"}
    method = {"payer_id": "bea", "kind": "card", "token": "tok_ok_bea"}
    await imported.ok("renewal", "POST", f"{rule}/pause", why)
    await imported.ok("payment", "DELETE", "/v1/payment-methods/pm-bea")
    try:
        found = await shadow(imported, tmp_path / "paused.csv")
    finally:
        await imported.ok("renewal", "POST", f"{rule}/resume", why)
        await imported.ok("payment", "PUT", "/v1/payment-methods/pm-bea", method)

    reasons = {line.split(",")[0]: line.split(",")[1:3] for line in found.lines.splitlines()[1:]}
    assert reasons["sub-ana"] == ["only_they", "rule_paused"]
    assert reasons["sub-bea"] == ["only_they", "payment_method_inactive"]


async def test_lists_of_many_pages_are_read_to_their_end(
    imported: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "OFFERINGS_ON_A_PAGE", 1)
    largest = running.PAGE_ITEMS
    urls = {service: imported.stack.service_url(service) for service in SERVICE_OF.values()}
    with Shelf(tmp_path) as shelf, Progress() as progress:
        found = await running.read(("offerings", "prices"), urls, shelf, (), progress)
        for kind, table in TABLES.items():
            size = await imported.database.fetchval(f"select count(*) from {table}")  # noqa: S608 - ours
            monkeypatch.setattr(running, "PAGE_ITEMS", min(size // PAGES, largest))
            assert (await running.read((kind,), urls, shelf, (), progress)).counts[kind] == size
        ids = {name for name, _ in shelf.subscriptions()}
        ruled = {name for name in ids if shelf.one("rule_of", name) is not None}
        methods = [shelf.one("method", f"pm-{name}") for name in PEOPLE]

    assert {"sub-ana", "sub-carlos"} <= ids
    assert len(ruled) >= 4
    assert methods == [f"{name} active" for name in PEOPLE]
    assert "cu-1gb" in found.offerings
    assert [price.amount_minor for price in found.prices if price.offering_id == "cu-1gb"] == [1200]
