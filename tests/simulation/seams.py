"""Where the simulation takes the place of the ground that the services stand on, for as long as it runs.

The stores' functions, the price list's source, the monotonic clock, what FastAPI makes of a route: nothing
else of the services is replaced.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

import structlog
from fastapi import APIRouter

from services.catalog import wiring as catalog_wiring
from services.catalog.offerings.domain.offering import EVER, OfferingVersion
from services.catalog.prices.domain.price_list import PriceList
from services.catalog.prices.domain.schedule import Price
from tests.simulation.plan import PRICE_MINOR
from tests.simulation.replica import FixedPrices
from tests.simulation.stores import (
    archive,
    bursts,
    cut_over,
    payment,
    provisioning,
    renewal,
    reviews,
    rules,
    text_messages,
    waiting,
)
from tests.simulation.timeline import BEGINNING, VirtualLoop

OFFERING: Final = "cuba-1gb"
CURRENCY: Final = "USD"
_real_monotonic: Final = time.monotonic
_BODIES: Final[dict[str, Any]] = {}
"""What routes take and answer. Pydantic keeps a `Bulk[...]` only as long as somebody has it: every start of a
process would make them anew."""
STAND_INS: Final = (
    payment,
    provisioning,
    renewal,
    rules,
    bursts,
    cut_over,
    waiting,
    reviews,
    text_messages,
    archive,
)


@contextmanager
def installed() -> Iterator[None]:
    """Put the simulation under the services, and their voices out; afterwards all is as it was."""
    replaced: list[tuple[Any, str, Any]] = [
        (APIRouter, "add_api_route", _keep_route),
        (catalog_wiring, "CurrentPriceList", FixedPrices),
        (time, "monotonic", _monotonic),
    ]
    for stand_in in STAND_INS:
        for module, functions in stand_in.FUNCTIONS.items():
            replaced += [(module, name, function) for name, function in functions.items()]
    FixedPrices.listed = _price_list()
    voices = structlog.get_config()
    with ExitStack() as undone:
        undone.enter_context(patch.dict(os.environ))
        for name in [name for name in os.environ if name.startswith("RECARGA_")]:
            del os.environ[name]
        for owner, name, replacement in replaced:
            undone.enter_context(patch.object(owner, name, replacement))
        undone.callback(structlog.configure, **voices)
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
            cache_logger_on_first_use=False,
        )
        # What is there by now stays: each look for garbage between two runs is short.
        gc.collect()
        gc.freeze()
        undone.callback(gc.unfreeze)
        yield


def _keep_route(router: APIRouter, path: str, endpoint: Any, **_options: Any) -> None:
    """Nobody asks over HTTP: what a route validates need not be found out at every start of a process."""
    _BODIES.setdefault(f"{endpoint.__module__}.{endpoint.__qualname__}", endpoint.__annotations__)
    router.routes.append(SimpleNamespace(path=router.prefix + path, endpoint=endpoint))  # type: ignore[arg-type]


def _monotonic() -> float:
    """The loop's time, where it is a simulated one that runs."""
    loop = asyncio._get_running_loop()
    return loop.time() if isinstance(loop, VirtualLoop) else _real_monotonic()


def missing(stand_in: ModuleType) -> set[str]:
    """The store's functions that nobody has brought over to memory yet."""
    there = {
        (module, name)
        for module in stand_in.FUNCTIONS
        for name, member in vars(module).items()
        if inspect.iscoroutinefunction(member) and member.__module__ == module.__name__
    }
    known = {(module, name) for module, functions in stand_in.FUNCTIONS.items() for name in functions}
    known |= {(module, name) for module, names in stand_in.NOT_ASKED.items() for name in names}
    return {f"{module.__name__}.{name}" for module, name in there - known}


def _price_list() -> PriceList:
    sold: dict[str, Any] = {
        "offering_id": OFFERING,
        "version": 1,
        "effective_from": EVER,
        "data_bytes": 2**30,
        "validity_seconds": 86_400,
        "stacking": "extend",
        "product_code": "cu1",
        "status": "on_sale",
    }
    price = Price(OFFERING, "price-1", CURRENCY, PRICE_MINOR, EVER)
    known_until = BEGINNING + timedelta(days=365)
    return PriceList().extended([OfferingVersion(**sold)], [price], 1, known_until)
