"""A list as a client reads it: page by page, until there is no next one."""

from typing import Any

from tests.integration.wired import Wired

MOST_PAGES = 1_000


async def all_of(service: Wired, path: str, limit: int = 2) -> list[dict[str, Any]]:
    """Every item of the list, in its order."""
    items: list[dict[str, Any]] = []
    cursor = ""
    mark = "&" if "?" in path else "?"
    for _ in range(MOST_PAGES):
        page = await service.request("GET", f"{path}{mark}limit={limit}{cursor}")
        assert page.status == 200, page
        assert len(page.body["items"]) <= limit
        items += page.body["items"]
        if page.body["next_cursor"] is None:
            return items
        cursor = f"&cursor={page.body['next_cursor']}"
    raise AssertionError(f"{path} has no end")
