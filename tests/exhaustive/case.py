"""The renewal that is explored: who pays, with what, for what, and how patient everybody is.

The budgets are the smallest with which every rule can still act: two tries per step, one question into
silence. They are production's tables otherwise; a policy is data, and the rules only read it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from services.payment.domain import capabilities, payment
from services.payment.domain.payment import WALLET, Method
from services.provisioning.topups.domain import attempt
from services.provisioning.topups.domain.top_up import Order
from services.renewal.domain.policy import POLICY, Backoff, Patience, Policy, Retry
from shared.contracts.fields import Origin
from shared.contracts.message import Grant, Terms
from tests.exhaustive.choices import Prices

RENEWAL: Final = UUID("018f2c1e-0000-7000-8000-000000000001")
SUBSCRIPTION: Final = "sub-1"
PRICE: Final = 900
CURRENCY: Final = "USD"
GRANT: Final = Grant(data_bytes=2**30, validity_seconds=86_400, product_code="cu1")

TWICE: Final = Retry(budget=1, backoff=Backoff(first_seconds=2, factor=2, cap_seconds=60))
ONE_QUESTION: Final = Patience(Backoff(first_seconds=30, factor=2, cap_seconds=300), budget=1)
POLICY_OF_TWO: Final[Policy] = replace(
    POLICY,
    payment_retries={"*": TWICE},
    top_up_retries={"*": TWICE},
    soft_decline_retries={"customer": TWICE, "rule": TWICE},
    patience={
        state: replace(ONE_QUESTION, budget=None if patience.budget is None else 1)
        for state, patience in POLICY.patience.items()
    },
)
PAYMENT_PATIENCE: Final = payment.Patience()
TOP_UP_PATIENCE: Final = attempt.Patience(repeats=1)

FIRST: Final = "sandbox"
SECOND: Final = "second"
ABLE: Final = capabilities.GATEWAYS[FIRST]
ABLE_CARRIER: Final = attempt.Capabilities(visibility_seconds=20.0)

NETWORK: Final = ("duplicate", "late letter", "early timer", "late timer")
WORKERS: Final = ("crash", "zombie", "slow worker", "no room", "breaker open")
LINES: Final = (
    "answer lost",
    "request delayed",
    "no connection",
    "turned away",
    "question unanswered",
    "webhook lost",
    "keys forgotten",
)
BANKS: Final = (
    "soft decline",
    "hard decline",
    "decline without the payer",
    "action required",
    "bank deciding",
    "late capture",
    "psp broken",
    "refund fails",
    "refund pending",
    "refund refused",
    "refund returns",
)
CARRIERS: Final = ("top-up refused", "top-up processing", "carrier broken", "late top-up")
EVERYTHING: Final = dict.fromkeys((*NETWORK, *WORKERS, *LINES, *BANKS, *CARRIERS), 1)
"""All deviations but people, disputes and closing by hand."""


def card(number: int, gateway: str) -> Method:
    return Method(f"card-{number}", "anna", gateway, "active")


PURSE: Final = Method("purse", "anna", WALLET, "active")
TWO_CARDS: Final = (card(1, FIRST), card(2, FIRST))
TWO_PSPS: Final = (card(1, FIRST), card(2, SECOND))


@dataclass(frozen=True, eq=False)
class Case:
    """One renewal and the outside systems that it meets. `deviations`: how many things may go wrong."""

    name: str
    about: str
    deviations: int
    methods: tuple[Method, ...] = TWO_CARDS
    psp: capabilities.Capabilities = ABLE
    carrier: attempt.Capabilities = ABLE_CARRIER
    origin: Origin = "customer"
    is_sold: bool = True
    amount_minor: int = PRICE
    prices: Prices = field(default_factory=lambda: EVERYTHING)
    """What each kind of deviation costs, of those that happen here."""
    tells_all: bool = False
    """The PSP says unasked what it answers, too."""
    is_told: bool = True
    """The customer knows already that it takes longer: that notice changes nothing else."""

    def deeper(self, more: int) -> "Case":
        """The same with more deviations on a path."""
        return replace(self, deviations=self.deviations + more)

    @property
    def terms(self) -> Terms:
        return Terms(
            offering_id="cuba-1gb",
            max_amount_minor=PRICE,
            currency=CURRENCY,
            payment_method_ids=tuple(method.payment_method_id for method in self.methods),
            payer_id="anna",
            origin=self.origin,
        )

    @property
    def psps(self) -> Mapping[str, capabilities.Capabilities]:
        """By name, what each PSP of this case can do."""
        return {method.gateway: self.psp for method in self.methods if method.gateway != WALLET}

    @property
    def order(self) -> Order:
        return Order(
            RENEWAL,
            SUBSCRIPTION,
            self.terms,
            GRANT,
            self.amount_minor,
            CURRENCY,
            "8999990000000000018",
            "cubacel",
            None,
        )

    @property
    def zombies_send(self) -> tuple[bool, bool]:
        """Whether a worker may still write to (PSP, carrier) after its lease.

        A pause between the last look at the clock and the write is the one risk that DESIGN states: it is
        harmless only where keys are honoured and cancelling cancels for good.
        """
        return (
            self.psp.honours_keys and self.psp.can_cancel,
            self.carrier.honours_keys and self.carrier.cancels,
        )


@contextmanager
def connected(case: Case) -> Iterator[None]:
    """Production's table of gateways with the PSPs of this case in it."""
    before = dict(capabilities.GATEWAYS)
    capabilities.GATEWAYS.update(case.psps)
    try:
        yield
    finally:
        capabilities.GATEWAYS.clear()
        capabilities.GATEWAYS.update(before)


CALL_TIMEOUT: Final = timedelta(seconds=5)
