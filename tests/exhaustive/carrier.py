"""The carrier as we understand it: the specification that our promises rest on, in the words of its HTTP API.

- A reference is not unique: a second order for it is a second top-up, unless it comes under a key that
  was honoured before.
- Where it cancels, a cancelled reference is never topped up afterwards, and one that has been cannot be
  cancelled.
- Who honours keys and cancels also refuses and applies later ("late success"), until the reference is
  cancelled. Without keys nothing can be done about a refusal that was lost and was a lie.
- What was just made may be invisible to a question for a while.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

import orjson

from services.provisioning.topups.domain.attempt import Capabilities
from shared.calls.http_client import HttpAnswer
from tests.exhaustive.case import RENEWAL
from tests.exhaustive.choices import Choices, Option
from tests.exhaustive.line import Request

INTERNAL: Final = HttpAnswer(500, {}, b'{"error":{"code":"internal"}}')
UNAVAILABLE: Final = HttpAnswer(405, {}, b'{"error":{"code":"not_offered"}}')
FATES: Final[tuple[Option, ...]] = (
    ("refused", "top-up refused"),
    ("processing", "top-up processing"),
    ("broken, nothing done", "carrier broken"),
)
FATES_OF_ABLE: Final = (*FATES, ("refused, applied later", "late top-up"))
NOT_ELIGIBLE: Final = {"error": {"code": "profile_not_eligible"}}


class Item(NamedTuple):
    """A top-up, or what may become one."""

    status: str
    is_seen: bool = True
    is_fresh: bool = True
    """So new that a question may miss it."""


class Carrier(NamedTuple):
    """All that the carrier knows of our renewal."""

    can: Capabilities
    items: tuple[Item, ...] = ()
    cancelled: bool = False
    remembered: frozenset[tuple[str, int, bytes]] = frozenset()

    @property
    def applied(self) -> int:
        return sum(item.status == "completed" for item in self.items)

    def is_still(self) -> bool:
        """Whether nothing more will happen here by itself."""
        return all(item.status != "processing" for item in self.items)


def answer(carrier: Carrier, request: Request, choices: Choices) -> tuple[Carrier, HttpAnswer]:
    """Serve one request. Keys are remembered for whatever was decided, where they are honoured."""
    parts = request.path.partition("?")[0].strip("/").split("/")[1:]
    if request.method == "GET":
        return carrier, _asked(carrier, parts, choices)
    if not carrier.can.honours_keys:
        return _effect(carrier, parts, choices)
    for key, status, body in carrier.remembered:
        if key == request.key:
            return carrier, HttpAnswer(status, {}, body)
    after, answered = _effect(carrier, parts, choices)
    remembered = after.remembered | {(request.key or "", answered.status, answered.body)}
    return after._replace(remembered=remembered), answered


def _effect(carrier: Carrier, parts: list[str], choices: Choices) -> tuple[Carrier, HttpAnswer]:
    if parts == ["topups"]:
        return _apply(carrier, choices)
    assert parts == ["topup-cancellations"]
    return _cancel(carrier) if carrier.can.cancels else (carrier, UNAVAILABLE)


def _apply(carrier: Carrier, choices: Choices) -> tuple[Carrier, HttpAnswer]:
    if carrier.cancelled:
        return carrier, _told({"error": {"code": "topup_cancelled"}}, 409)
    match choices.among("applied", *(FATES_OF_ABLE if _lies(carrier.can) else FATES)):
        case "applied":
            return _made(carrier, Item("completed"))
        case "processing":
            return _made(carrier, Item("processing"))
        case "refused":
            return carrier, _told(NOT_ELIGIBLE, 422)
        case "refused, applied later":
            after, _ = _made(carrier, Item("processing", is_seen=False))
            return after, _told(NOT_ELIGIBLE, 422)
    return carrier, INTERNAL


def _lies(can: Capabilities) -> bool:
    return can.honours_keys and can.cancels


def _made(carrier: Carrier, item: Item) -> tuple[Carrier, HttpAnswer]:
    after = carrier._replace(items=(*carrier.items, item))
    return after, _told(_view(after, len(carrier.items)), 201)


def _cancel(carrier: Carrier) -> tuple[Carrier, HttpAnswer]:
    for place, item in enumerate(carrier.items):
        if item.status == "completed":
            error = {"code": "topup_already_applied", "topup": _view(carrier, place)}
            return carrier, _told({"error": error}, 409)
    items = tuple(
        Item("cancelled", is_fresh=False) if item.status == "processing" else item for item in carrier.items
    )
    after = carrier._replace(items=items, cancelled=True)
    return after, _told({"reference": str(RENEWAL), "status": "cancelled"})


def _asked(carrier: Carrier, parts: list[str], choices: Choices) -> HttpAnswer:
    if not carrier.can.queries:
        return UNAVAILABLE
    if len(parts) == 2:
        return _told(_view(carrier, int(parts[1].rpartition("-")[2])))
    seen = [place for place, item in enumerate(carrier.items) if item.is_seen]
    fresh = [place for place in seen if carrier.items[place].is_fresh]
    if fresh and choices.among("visible", "not visible yet") == "not visible yet":
        seen = [place for place in seen if place not in fresh]
    return _told({"data": [_view(carrier, place) for place in reversed(seen)]})


def events(carrier: Carrier) -> Iterator[tuple[str, Carrier]]:
    """What can happen without a request: a name, and the carrier after it."""
    for place, item in enumerate(carrier.items):
        if item.status != "processing":
            continue
        for what in ("completed", "failed") if item.is_seen else ("completed",):
            changed = item._replace(status=what, is_seen=True)
            items = (*carrier.items[:place], changed, *carrier.items[place + 1 :])
            yield f"top-up {place} {what}", carrier._replace(items=items)


def old(carrier: Carrier) -> Carrier:
    """Some time has passed: everything that was made can be seen."""
    return carrier._replace(items=tuple(item._replace(is_fresh=False) for item in carrier.items))


def remembering(carrier: Carrier, usable: Collection[str], *, is_asked: bool) -> Carrier:
    """The carrier without keys that nobody can use again, and nothing new to it that nobody asks for."""
    kept = frozenset(one for one in carrier.remembered if one[0] in usable)
    return (carrier if is_asked else old(carrier))._replace(remembered=kept)


def _view(carrier: Carrier, place: int) -> dict[str, Any]:
    item = carrier.items[place]
    return {"id": f"tu-{place}", "reference": str(RENEWAL), "status": item.status}


def _told(document: dict[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, orjson.dumps(document))
