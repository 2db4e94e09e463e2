"""The journals of the PSP and of the carrier, read over HTTP: effects only, a line each. Blocking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import orjson

from deploy.local.books.rows import CarrierEffect, PspEffect
from deploy.local.errors import LocalStackError

PAGE_LINES = 10_000
PAGE_SECONDS = 60.0
MAX_PAGES = 10_000


def read_psp(url: str) -> list[PspEffect]:
    """What the PSP did with money. Raises LocalStackError where it cannot be asked."""
    return [
        PspEffect(
            line["renewal_id"] or "", line["effect"], line["id"], line["amount_minor"], line["currency"] or ""
        )
        for line in _effects(url)
    ]


def read_carrier(url: str) -> list[CarrierEffect]:
    """What the carrier granted. Raises LocalStackError where it cannot be asked."""
    return [
        CarrierEffect(
            line["reference"] or "",
            line["effect"],
            line["id"],
            line["iccid"] or "",
            line["data_bytes"],
            line["product_code"] or "",
        )
        for line in _effects(url)
    ]


def _effects(url: str) -> Iterator[Any]:
    after: str | None = "0"
    for _ in range(MAX_PAGES):
        address = f"{url}/journal?kind=effect&format=ndjson&limit={PAGE_LINES}&after={after}"
        try:
            with urlopen(address, timeout=PAGE_SECONDS) as answer:  # noqa: S310 - our own sandbox's address
                for line in answer:
                    yield orjson.loads(line)
                after = answer.headers.get("Next-After")
        except URLError as error:
            raise LocalStackError(
                f"The journal at {url} cannot be read: {error.reason}. Is the sandbox running?"
            ) from error
        if after is None:
            return
    raise LocalStackError(f"The journal at {url} has more than {MAX_PAGES} pages of {PAGE_LINES} lines.")
