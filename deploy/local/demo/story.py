"""Who is in the story, what happens to each of them, and how it must end. Pure.

A scene is a line of SCENES: so many people with the same card, the same carrier behaviour and the same way to
ask. How the PSP and the carrier behave is chosen by the card's token and by two digits of the ICCID (the
sandbox's tables, deploy/sandbox/behaviours.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Final, Literal, NamedTuple

from deploy.local.demo.plans import BRANDS, CURRENCIES, DEVICES, PLANS, Plan
from shared.contracts.checks import eid_with_check, luhn_digit

Asks = Literal["rule", "by hand", "nobody"]
End = Literal["completed", "failed", "refunded", "cancelled", "none", "any"]
WALLET: Final = "wallet"
ICCID_OF_CUBA: Final = "895399"
"""The trade's 89, Cuba's 53, and a block that no example in the documentation uses."""
ICCID_OF_BEHAVIOURS: Final = "8999990"


class Scene(NamedTuple):
    """`pays_with`: card tokens in order, `wallet` for a wallet with `deposit_renewals` times the price in it.

    `data_used` is what the day takes, as a share of the plan, and `data_left` what at most was there before.
    """

    name: str
    people: int
    asks: Asks
    pays_with: tuple[str, ...]
    end: End
    iccid_code: str = ""
    deposit_renewals: float = 0.0
    data_left: float = 0.4
    data_used: float = 0.55
    another_payer: bool = False


SCENES: Final = (
    Scene("data runs out, a rule renews, the card pays", 118, "rule", ("tok_ok",), "completed"),
    Scene("the same twice a day: a heavy user", 8, "rule", ("tok_ok",), "completed", data_used=1.9),
    Scene("a prepaid wallet pays", 20, "rule", (WALLET,), "completed", deposit_renewals=5),
    Scene(
        "the wallet holds too little, the card pays", 6, "rule", (WALLET, "tok_ok"), "completed",
        deposit_renewals=0.5,
    ),
    Scene(
        "the first card is declined, the second pays", 12, "rule",
        ("tok_decline_insufficient_funds", "tok_ok"), "completed",
    ),
    Scene("the only card was reported lost: declined", 6, "rule", ("tok_decline_lost_card",), "failed"),
    Scene("the only card has expired: declined", 5, "rule", ("tok_decline_expired_card",), "failed"),
    Scene(
        "the PSP fails after taking the money: it is taken once", 4, "rule",
        ("tok_server_error_after_once",), "completed",
    ),
    Scene("the carrier fails once, the next try works", 6, "rule", ("tok_ok",), "completed", iccid_code="21"),
    Scene("the carrier's answer is lost: the data is granted once", 2, "rule", ("tok_ok",), "completed",
          iccid_code="33", data_left=0.2),
    Scene("the carrier refuses: the money goes back", 4, "rule", ("tok_ok",), "refunded", iccid_code="10"),
    Scene("asks in the app", 16, "by hand", ("tok_ok",), "completed", data_used=0.2),
    Scene(
        "a relative abroad pays", 10, "by hand", ("tok_ok",), "completed", data_used=0.2, another_payer=True
    ),
    Scene("asks with a stolen card: declined", 3, "by hand", ("tok_decline_stolen_card",), "failed",
          data_used=0.2),
    Scene("asks in the app, the carrier refuses: money back", 1, "by hand", ("tok_ok",), "refunded",
          iccid_code="12", data_used=0.2),
    Scene("the bank wants a confirmation: called off", 2, "by hand", ("tok_sca",), "cancelled",
          data_used=0.2),
    Scene("has data enough: nothing happens", 24, "rule", ("tok_ok",), "none", data_left=0.9, data_used=0.3),
)  # fmt: skip


class Method(NamedTuple):
    """A way to pay. `token` is None for a wallet, which then holds `deposit_minor`."""

    payment_method_id: str
    payer_id: str
    token: str | None
    deposit_minor: int = 0
    currency: str = ""


class Use(NamedTuple):
    """What a file says about one ICCID."""

    used_bytes: int
    imei: str | None


class Subscriber(NamedTuple):
    """One person of the story with everything that is seeded for them."""

    scene: Scene
    subscription_id: str
    owner_id: str
    payer_id: str
    brand: str
    iccid: str
    eid: str
    imei: str
    plan: Plan
    currency: str
    methods: tuple[Method, ...]
    granted_bytes: int
    left_bytes: int
    used_bytes: int
    triggers: tuple[str, ...]

    @property
    def price_minor(self) -> int:
        return self.plan.price(self.currency)


def cast(scenes: Sequence[Scene] = SCENES) -> list[Subscriber]:
    """Everyone in these scenes; the same people every time."""
    numbers = count(1)
    return [_subscriber(scene, next(numbers)) for scene in scenes for _ in range(scene.people)]


def by_hand(scenes: Sequence[Scene] = SCENES) -> list[Scene]:
    """The scenes that need no usage: they are played beside a carrier's own file as well."""
    return [scene for scene in scenes if scene.asks == "by hand"]


OWN_FILE: Final = Scene("from your file: a rule renews, a card pays", 0, "rule", ("tok_ok",), "any")


def subscribers_of(use: Mapping[str, Use], first: int) -> list[Subscriber]:
    """One person per ICCID of a carrier's own file, each with data left for a part of what the file uses.

    `first` is the number of the first: everyone else's are lower.
    """
    people: list[Subscriber] = []
    for number, (one, seen) in enumerate(sorted(use.items()), start=first):
        person = _subscriber(OWN_FILE, number)._replace(iccid=one, used_bytes=seen.used_bytes)
        granted = max(person.used_bytes, 1)
        people.append(
            person._replace(
                imei=seen.imei or person.imei,
                left_bytes=max(int(granted * OWN_FILE.data_left), 1),
                granted_bytes=granted,
            )
        )
    return people


SPREAD: Final = 0.6
TRIGGERS: Final = (("threshold",), ("exhausted",), ("exhausted", "threshold"))


def _subscriber(scene: Scene, number: int) -> Subscriber:
    plan = PLANS[number % len(PLANS)]
    currency = CURRENCIES[number // len(PLANS) % len(CURRENCIES)]
    owner_id = f"customer-{number:04d}"
    payer_id = f"relative-{number:04d}" if scene.another_payer else owner_id
    return Subscriber(
        scene=scene,
        subscription_id=f"sub-{number:04d}",
        owner_id=owner_id,
        payer_id=payer_id,
        brand=BRANDS[number % len(BRANDS)],
        iccid=iccid(number, scene.iccid_code),
        eid=eid_of(number),
        imei=imei_of(number),
        plan=plan,
        currency=currency,
        methods=tuple(_methods(scene, number, payer_id, plan.price(currency), currency)),
        granted_bytes=plan.data_bytes,
        left_bytes=int(plan.data_bytes * _left(scene, number)),
        used_bytes=int(plan.data_bytes * scene.data_used),
        triggers=TRIGGERS[number % len(TRIGGERS)],
    )


def _left(scene: Scene, number: int) -> float:
    """A different share for each of those who run out: data does not end at one hour for everybody."""
    if scene.asks != "rule" or scene.end == "none":
        return scene.data_left
    return scene.data_left * (1 - SPREAD * (number * 7 % 20) / 20)


def _methods(scene: Scene, number: int, payer_id: str, price_minor: int, currency: str) -> Iterator[Method]:
    for place, token in enumerate(scene.pays_with, start=1):
        method_id = f"method-{number:04d}-{place}"
        if token == WALLET:
            deposit_minor = int(price_minor * scene.deposit_renewals)
            yield Method(method_id, payer_id, None, deposit_minor, currency)
        else:
            yield Method(method_id, payer_id, f"{token}_{number:04d}")


def iccid(number: int, behaviour_code: str = "") -> str:
    """19 digits, the last one a Luhn digit; with a code, one at which the sandbox's carrier misbehaves."""
    start = f"{ICCID_OF_BEHAVIOURS}{behaviour_code}" if behaviour_code else ICCID_OF_CUBA
    digits = start + str(number).zfill(18 - len(start))
    return digits + luhn_digit(digits)


def eid_of(number: int) -> str:
    """32 digits with their check digits."""
    return eid_with_check("89049032" + str(number).zfill(22))


def imei_of(number: int) -> str:
    """15 digits of one of the listed models, the last one a Luhn digit."""
    tac = DEVICES[number % len(DEVICES)][0]
    digits = f"{tac}{number:06d}"
    return digits + luhn_digit(digits)
