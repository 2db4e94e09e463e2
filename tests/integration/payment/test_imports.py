"""Payment methods from CSV: tokens come in, card numbers go nowhere."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.importing import Importing
from tests.integration.wired import Wired

HEADER = "payment_method_id,payer_id,kind,token,network"


@pytest.fixture
def importing(payment: Wired, tmp_path: Path) -> Importing:
    return Importing("services.payment.methods.imports", payment, tmp_path / "methods.csv")


async def test_tokens_are_taken_and_card_numbers_neither_sent_nor_copied(
    importing: Importing, payment: Wired
) -> None:
    names = [f"pm-{uuid4().hex[:12]}" for _ in range(5)]
    importing.write(
        HEADER,
        f"{names[0]},payer-1,card,tok_import_1,visa",
        f"{names[1]},payer-1,card,4242 4242 4242 4242,visa",
        f"{names[2]},4242-4242-4242-4242,card,tok_import_2,",
        f"{names[3]},payer-1,wallet,tok_import_3,",
        f"{names[4]},payer-1,wallet,,",
    )
    outcome = await importing.run()

    assert outcome.status == 3, outcome.said
    assert "2 taken, 3 refused" in outcome.said
    assert "2 of its lines held what must not be in such a file" in outcome.said
    assert [line for line, _, _ in importing.refused()] == [3, 4, 5]
    told = importing.report.read_text(encoding="utf-8") + outcome.said
    assert "4242" not in told
    assert "tok_import" not in told
    found = [(await payment.request("GET", f"/v1/payment-methods/{name}")).status for name in names]
    assert found == [200, 404, 404, 404, 200]


async def test_a_method_of_another_payer_is_not_taken_over(importing: Importing) -> None:
    name = f"pm-{uuid4().hex[:12]}"
    importing.write(HEADER, f"{name},payer-1,card,tok_import_4,")
    assert (await importing.run()).status == 0
    importing.write(HEADER, f"{name},payer-2,card,tok_import_4,")
    assert (await importing.run()).status == 3
    [(line, _, why)] = importing.refused()
    assert (line, "another payer's method" in why) == (2, True)
    assert "tok_import" not in importing.report.read_text(encoding="utf-8")
