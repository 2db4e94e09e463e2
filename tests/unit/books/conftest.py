"""Books in which everything agrees: one renewal of every way that a renewal can end."""

from __future__ import annotations

import pytest

from deploy.local.books.rows import Books, Numbering, SurplusLine, WalletLine
from tests.unit.books.lines import grant, money, payment, renewal, top_up, transfer


@pytest.fixture
def books() -> Books:
    """`card` and `wallet` completed, `back` refunded, `declined` failed; `twice` was paid twice."""
    return Books(
        renewals=[
            renewal("card", "completed"),
            renewal("wallet", "completed"),
            renewal("back", "refunded"),
            renewal("declined", "failed", amount=None),
            renewal("twice", "completed"),
        ],
        payments=[
            payment("card", "captured", "captured", is_applied=True),
            payment("wallet", "captured", "captured", is_applied=True, gateway="wallet", reference=None),
            payment("back", "refunded", "captured"),
            payment("declined", "cancelled", "cancelled"),
            payment(
                "twice",
                "captured",
                "captured",
                is_applied=True,
                surplus=[SurplusLine("pi-extra", 900, "USD", True)],
            ),
        ],
        transfers=[
            transfer("", "deposit", "deposits", "wallet:ana", 1500),
            transfer("card", "capture", "psp:sandbox", "held"),
            transfer("card", "applied", "held", "applied"),
            transfer("wallet", "capture", "wallet:ana", "held"),
            transfer("wallet", "applied", "held", "applied"),
            transfer("back", "capture", "psp:sandbox", "held"),
            transfer("back", "refund", "held", "psp:sandbox"),
            transfer("twice", "capture", "psp:sandbox", "held"),
            transfer("twice", "applied", "held", "applied"),
            transfer("twice", "surplus_found", "psp:sandbox", "surplus"),
            transfer("twice", "surplus_refund", "surplus", "psp:sandbox"),
        ],
        top_ups=[
            top_up("card", "applied", 1),
            top_up("wallet", "applied", 3),
            top_up("back", "rejected"),
            top_up("twice", "applied", 1),
        ],
        psp=[
            money("card", "captured", "pi-card"),
            money("back", "captured", "pi-back"),
            money("back", "refunded", "re-back"),
            money("declined", "cancelled", "pi-declined"),
            money("twice", "captured", "pi-twice"),
            money("twice", "captured", "pi-extra"),
            money("twice", "refunded", "re-extra"),
        ],
        carrier=[grant("card"), grant("wallet"), grant("twice")],
        wallets=[WalletLine("ana", "USD", 600)],
        numbering=[Numbering("sub-card", 1), Numbering("sub-wallet", 3), Numbering("sub-twice", 1)],
    )
