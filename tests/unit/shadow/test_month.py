"""A month as we would have done it agrees with a slow, obvious recomputation, minute by minute."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.shadow.diff import Line
from deploy.local.shadow.month import Month, Subscriber, World
from deploy.local.shadow.shelf import Charged, Use
from services.catalog.offerings.bodies import OfferingItem
from services.catalog.offerings.domain.offering import EVER, OfferingVersion
from services.catalog.prices.domain.price_list import PriceList
from services.catalog.prices.domain.schedule import Price
from services.provisioning.subscriptions.bodies import SubscriptionItem
from services.renewal.domain.policy import POLICY
from services.renewal.rules.domain.mandate import Mandate
from services.renewal.rules.domain.rule import RenewalRule, changed
from services.renewal.rules.views import BulkRule
from services.usage.domain.balance import Granted
from services.usage.domain.carrier import Carrier
from services.usage.domain.triggers import Wants
from services.usage.rules import wants_of
from shared.contracts.checks import eid_with_check, luhn_digit

T0 = datetime(2026, 10, 1, tzinfo=UTC)
MINUTES = 60
SOLD = 100
PRICE = 1200
CARRIERS_PERCENT = 10
MINUTE = timedelta(minutes=1)
FOR_YEARS = 10**8


@dataclass(frozen=True)
class Case:
    """One subscription's month. Records and charges by their minute."""

    left: int | None
    wishes: tuple[str, ...]
    percent: int | None
    consent: int
    within: int
    records: tuple[tuple[int, int], ...]
    charges: tuple[int, ...]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    minutes = st.integers(0, MINUTES - 1)
    wishes = draw(st.sampled_from([("exhausted",), ("threshold",), ("exhausted", "threshold")]))
    return Case(
        draw(st.none() | st.integers(0, SOLD)),
        wishes,
        draw(st.none() | st.integers(1, 100)) if "threshold" in wishes else None,
        draw(st.sampled_from([PRICE + 1, PRICE, PRICE - 1])),
        draw(st.integers(0, 20)),
        tuple(sorted(draw(st.lists(st.tuples(minutes, st.integers(0, 60)), max_size=12)))),
        tuple(sorted(draw(st.lists(minutes, max_size=5)))),
    )


Told = tuple[str, str, int | None, int | None]
"""Result, reason, our minute, theirs."""


# -- the slow one ---------------------------------------------------------------------------------------


@dataclass
class Slow:
    """Every minute: what has waited too long, then charges, then usage."""

    case: Case
    remaining: int = 0
    granted: int = 0
    cycle: int = 0
    said: set[str] = field(default_factory=set)
    too_dear: bool = False
    last: str | None = None
    ours: list[tuple[int, str]] = field(default_factory=list)
    theirs: list[int] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def run(self) -> list[Told]:
        if self.case.left is not None:
            self.remaining, self.granted = self.case.left, SOLD
        for minute in range(MINUTES + self.case.within + 2):
            while self.theirs and minute > self.theirs[0] + self.case.within:
                self.only_they(self.theirs.pop(0))
            for _ in range(self.case.charges.count(minute)):
                self.charge(minute)
            for at, size in self.case.records:
                if at == minute:
                    self.remaining = max(0, self.remaining - size)
                    self.look(minute)
        self.told += [("only_we", kind, at, None) for at, kind in self.ours]
        return self.told

    def charge(self, minute: int) -> None:
        for at, kind in self.ours:
            if minute - at <= self.case.within:
                self.ours.remove((at, kind))
                self.told.append(("both", kind, at, minute))
                return
        if self.granted:
            self.theirs.append(minute)
        else:
            self.only_they(minute)

    def only_they(self, minute: int) -> None:
        reason = (self.last or "no_trigger") if self.granted else "balance_unknown"
        self.told.append(("only_they", reason, None, minute))
        self.top_up()

    def top_up(self) -> None:
        self.remaining += SOLD
        self.granted, self.said, self.last, self.too_dear = SOLD, set(), None, False

    def look(self, minute: int) -> None:
        percent = self.case.percent or CARRIERS_PERCENT
        due = []
        if self.granted and self.remaining <= percent * self.granted // 100:
            due.append("threshold")
        if self.granted and self.remaining == 0:
            due.append("exhausted")
        due = [kind for kind in due if kind not in self.said]
        self.said |= set(due)
        renewed = False
        for kind in due:
            if kind not in self.case.wishes:
                self.last = self.last if renewed else "trigger_not_wanted"
            elif self.too_dear or renewed:
                continue
            elif self.case.consent < PRICE:
                self.too_dear, self.last = True, "price_above_consent"
            else:
                self.renew(minute, kind)
                renewed = True

    def renew(self, minute: int, kind: str) -> None:
        matched = next((at for at in self.theirs if minute - at <= self.case.within), None)
        if matched is None:
            self.ours.append((minute, kind))
        else:
            self.theirs.remove(matched)
            self.told.append(("both", kind, minute, matched))
        self.top_up()


# -- the real one ---------------------------------------------------------------------------------------


def month(case: Case) -> list[Line]:
    iccid, imei = "8953" + "1" * 14, "35" + "1" * 12
    subscription = SubscriptionItem(
        subscription_id="sub-1",
        brand="ola",
        carrier="cubacel",
        iccid=iccid + luhn_digit(iccid),
        eid=eid_with_check("89" + "0" * 28),
        bound_imei=imei + luhn_digit(imei),
        owner_id="ana",
    )
    item = OfferingItem(
        offering_id="o-1",
        name="Some",
        destination="CU",
        data_bytes=SOLD,
        validity_seconds=FOR_YEARS,
        product_code="O-1",
    )
    version = OfferingVersion(
        offering_id="o-1",
        version=1,
        effective_from=EVER,
        data_bytes=SOLD,
        validity_seconds=FOR_YEARS,
        stacking="extend",
        product_code="O-1",
        status="on_sale",
    )
    price = Price("o-1", "p-1", "USD", PRICE, EVER)
    triggers = [
        f"threshold:{case.percent}%" if kind == "threshold" and case.percent else kind for kind in case.wishes
    ]
    wanted = BulkRule.model_validate(
        {
            "subscription_id": "sub-1",
            "triggers": triggers,
            "offering_id": "o-1",
            "payment_method_ids": ["pm-1"],
            "cap_amount_minor": 5000,
            "currency": "USD",
            "mandate_id": "m-1",
        }
    )
    rule = RenewalRule("sub-1", 1, wanted.instruction, "m-1")
    given_at = T0 - timedelta(days=30)
    mandate = Mandate(
        "sub-1", "m-1", "ana", "t-1", b"", "app", given_at, "es", case.consent, "USD", None, "app", given_at
    )
    ends_at = T0 + MINUTES * MINUTE
    before = Granted("before", 0, None, SOLD, case.left or 0, T0 + timedelta(days=1000), T0)
    world = World(
        {"o-1": item},
        PriceList().extended([version], [price], 1, ends_at),
        Carrier("records", "written_off", Wants(CARRIERS_PERCENT)),
        timedelta(days=2),
        POLICY,
        case.within * MINUTE,
        ends_at,
    )
    subscriber = Subscriber(
        subscription,
        rule,
        mandate,
        wants_of(changed(rule)),
        ["pm-1 ana active"],
        [] if case.left is None else [before],
    )
    uses = [Use(T0 + at * MINUTE, T0 + at * MINUTE, size, None) for at, size in case.records]
    charges = [Charged(T0 + at * MINUTE, PRICE, "USD", "o-1") for at in case.charges]
    return Month(world, subscriber).go_by(uses, charges)


def told(lines: list[Line]) -> list[Told]:
    return [
        (
            line.result,
            line.reason,
            None if line.ours is None else (line.ours.at - T0) // MINUTE,
            None if line.theirs is None else (line.theirs.at - T0) // MINUTE,
        )
        for line in lines
    ]


def ordered(lines: list[Told]) -> list[tuple[str, ...]]:
    return sorted(tuple(map(str, line)) for line in lines)


@settings(deadline=None, max_examples=400)
@given(case=cases())
def test_a_month_is_what_a_look_at_every_minute_makes_of_it(case: Case) -> None:
    assert ordered(told(month(case))) == ordered(Slow(case).run())


@settings(deadline=None, max_examples=100)
@given(case=cases())
def test_every_charge_of_theirs_is_in_one_line(case: Case) -> None:
    theirs = [(line.theirs.at - T0) // MINUTE for line in month(case) if line.theirs is not None]
    assert sorted(theirs) == list(case.charges)
