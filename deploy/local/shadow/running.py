"""What the services of a running stack know, read page by page over their HTTP APIs and put on the shelf.

Nothing is written there. However many there are of a thing, memory holds one page of it.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
from pydantic import ValidationError

from deploy.local.errors import LocalStackError
from deploy.local.shadow.kept import KeptMandate, KeptRule
from deploy.local.shadow.progress import Progress
from deploy.local.shadow.service import OTHER_VERSION, Service, opened
from deploy.local.shadow.shelf import Shelf
from deploy.local.shadow.sources import SERVICE_OF
from services.catalog.offerings.bodies import OfferingItem
from services.catalog.prices.bodies import PriceAnswer
from services.catalog.prices.domain.schedule import Price
from services.provisioning.subscriptions.bodies import SubscriptionItem
from shared.http.body import Body

PAGE_ITEMS: Final = 200
OFFERINGS_ON_A_PAGE: Final = 50
"""An offering may name hundreds of buyers: more of them might be a longer answer than the client takes."""


class _List(NamedTuple):
    path: str
    statement: str
    row: Callable[[Mapping[str, Any]], tuple[Any, ...]]


def _fields(of: type[Body], item: Mapping[str, Any]) -> bytes:
    """What a file would say of it, judged as a file's line is: an answer tells more."""
    text = orjson.dumps({name: item[name] for name in of.model_fields if name in item})
    of.model_validate_json(text)
    return text


LISTS: Final[Mapping[str, _List]] = {
    "subscriptions": _List(
        "/v1/subscriptions",
        "put_subscription",
        lambda item: (item["subscription_id"], item["iccid"], _fields(SubscriptionItem, item)),
    ),
    "rules": _List(
        "/v1/renewal-rules",
        "put_rule",
        lambda item: (item["subscription_id"], _fields(KeptRule, item)),
    ),
    "mandates": _List(
        "/v1/mandates",
        "put_mandate",
        lambda item: (item["subscription_id"], item["mandate_id"], _fields(KeptMandate, item)),
    ),
    "payment_methods": _List(
        "/v1/payment-methods",
        "put_method",
        lambda item: (item["payment_method_id"], item["payer_id"], item["status"]),
    ),
}
"""What goes to the shelf, and how; offerings and prices are few and stay in memory."""


@dataclass
class Found:
    """How many there were of each kind that was asked for, and what does not go to the shelf."""

    counts: Counter[str] = field(default_factory=Counter)
    offerings: dict[str, OfferingItem] = field(default_factory=dict)
    prices: list[Price] = field(default_factory=list)


async def read(
    kinds: Iterable[str], urls: Mapping[str, str], shelf: Shelf, sold: Iterable[str], progress: Progress
) -> Found:
    """Read these kinds, in their order. `sold`: the offerings that a file has named.

    Raises:
        LocalStackError: a service does not answer, or something else than it should.
    """
    found = Found(Counter(dict.fromkeys(kinds, 0)))
    for kind in found.counts:
        async with opened(SERVICE_OF[kind], urls[SERVICE_OF[kind]]) as service:
            try:
                async for number in _read(kind, service, shelf, found, sold):
                    found.counts[kind] += number
                    progress.show(kind, found.counts[kind])
            except (KeyError, TypeError, ValueError) as error:
                said = f"{service.name} at {service.url} tells of {kind} in another form: {_one_line(error)}"
                raise LocalStackError(f"{said} {OTHER_VERSION}") from error
    return found


async def _read(
    kind: str, service: Service, shelf: Shelf, found: Found, sold: Iterable[str]
) -> AsyncIterator[int]:
    """How many there were on each page."""
    if kind == "offerings":
        async for items in service.pages("/v1/offerings", OFFERINGS_ON_A_PAGE):
            for item in items:
                offering = OfferingItem.model_validate_json(_fields(OfferingItem, item))
                found.offerings[offering.offering_id] = offering
            yield len(items)
    elif kind == "prices":
        for offering_id in [*sold, *found.offerings]:
            prices = await _prices_of(service, offering_id)
            found.prices += prices
            yield len(prices)
    else:
        path, statement, row = LISTS[kind]
        async for items in service.pages(path, PAGE_ITEMS):
            # An empty page, too: that nothing is known is something else than that nobody was asked.
            shelf.put(statement, [row(item) for item in items])
            yield len(items)


async def _prices_of(service: Service, offering_id: str) -> list[Price]:
    """Every price that the offering ever had; none where the catalog does not sell it."""
    offering = await service.get(f"/v1/offerings/{offering_id}", may_be_unknown=True)
    scheduled = [] if offering is None else offering["schedule"]
    return [Price(offering_id, **dict(PriceAnswer.model_validate(price))) for price in scheduled]


def _one_line(error: Exception) -> str:
    """Which field it was; no value of it, which may be somebody's."""
    if isinstance(error, ValidationError):
        [first, *_] = error.errors(include_input=False, include_url=False)
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}."
    return f"{error} is missing." if isinstance(error, KeyError) else "that is no such list."
