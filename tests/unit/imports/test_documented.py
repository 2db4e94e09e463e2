"""docs/imports.md tells every column of every import, with an example that would be taken."""

import re
from pathlib import Path

import pytest

from services.catalog.offerings.imports import OFFERINGS
from services.catalog.prices.imports import PRICES
from services.payment.methods.imports import PAYMENT_METHODS
from services.provisioning.subscriptions.imports import SUBSCRIPTIONS
from services.renewal.rules.imports import RULES
from services.renewal.rules.mandate_imports import MANDATES
from services.usage.imports import BUCKETS
from shared.imports.kinds import Kind
from shared.imports.reading import Reader

ROOT = Path(__file__).parents[3]
KINDS = (OFFERINGS, PRICES, SUBSCRIPTIONS, PAYMENT_METHODS, MANDATES, RULES, BUCKETS)


def section(kind: Kind) -> str:
    text = (ROOT / "docs" / "imports.md").read_text(encoding="utf-8")
    found: str
    [found] = re.findall(rf"^## {kind.name}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_column_is_told_and_whether_it_is_required(kind: Kind) -> None:
    told = {
        name: required == "yes"
        for names, required in re.findall(r"^\| (`[^|]+`) \| (yes|no) \|", section(kind), re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", names)
    }
    assert told == {name: column.required for name, column in kind.columns.items()}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_example_is_good(kind: Kind) -> None:
    [example] = re.findall(r"^```csv\n(.*?)^```", section(kind), re.MULTILINE | re.DOTALL)
    lines = (line.encode() for line in example.splitlines())
    [chunk] = Reader(kind, lines).chunks()
    assert chunk.refusals == []
    assert len(chunk.rows) == len(example.splitlines()) - 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_make_import_knows_it(kind: Kind) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [module] = re.findall(rf"^IMPORT_{kind.name} := (\S+)$", makefile, re.MULTILINE)
    assert "main(" in (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")


def test_only_the_token_of_a_payment_method_is_a_secret() -> None:
    secret = {(kind.name, name) for kind in KINDS for name, column in kind.columns.items() if column.secret}
    assert secret == {("payment-methods", "token")}


@pytest.mark.parametrize(
    "text", ["4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242", "378282246310005"]
)
def test_whatever_looks_like_a_card_number_is_in_no_column(text: str) -> None:
    for line in (
        f"pm-1,p-1,card,{text}",
        f"pm-1,{text},card,tok_1",
        f"{text},p-1,card,tok_1",
        f"pm-1,p-1,card,tok_1,{text}",
    ):
        lines = iter([b"payment_method_id,payer_id,kind,token", line.encode()])
        [chunk] = Reader(PAYMENT_METHODS, lines).chunks()
        assert (len(chunk.rows), chunk.forbidden) == (0, 1)
        assert [refusal.given for refusal in chunk.refusals] == ["***"]
        assert all(text not in refusal.why for refusal in chunk.refusals)


@pytest.mark.parametrize("text", ["tok_4242424242424242", "4242424242424241", "42424242424", "pm-1"])
def test_what_only_resembles_one_is_let_through(text: str) -> None:
    lines = iter([b"payment_method_id,payer_id,kind,token", f"pm-1,p-1,card,{text}".encode()])
    [chunk] = Reader(PAYMENT_METHODS, lines).chunks()
    assert chunk.forbidden == 0
