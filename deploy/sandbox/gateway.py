"""The way every call takes through a sandbox server, the same for the PSP and the carrier.

    route -> fault at the door? -> key already known? -> the server decides -> remember -> fault in delivery?

Pure: `answer(request, now)` changes the state it was given and returns what came of it. The same
requests at the same instants give the same state, which is how a journal is replayed after a restart,
and how a simulation can drive a server without sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson

from . import fields
from .behaviours import OK, Behaviour
from .exchange import Document, Effect, Event, Refusal, Reply, Request, error_reply, json_reply
from .faults import FaultProfile, Firing, delivered, door_reply, firing_of
from .idempotency import KEY_LIMIT, KeyMemory

NEVER: Final = 1 << 62
_NO_QUERY: Final[dict[str, str]] = {}
OK_FIRING: Final = firing_of(OK)


@dataclass(slots=True)
class Capabilities:
    """What the gateway can do: settable, so that each kind of gateway can be played."""

    honours_keys: bool = True
    can_query: bool = True
    can_cancel: bool = True
    keys_remembered_seconds: int = 86_400
    visible_after_seconds: float = 0.0

    def view(self) -> Document:
        return {name: getattr(self, name) for name in self.__slots__}


class Call:
    """One request while it is answered: what was asked, and the journal's columns about it."""

    __slots__ = (
        "amount",
        "document",
        "forced",
        "id",
        "key",
        "now",
        "operation",
        "query",
        "reference",
        "remember",
        "shown",
        "subject",
        "unit",
    )

    def __init__(self, operation: str, key: str | None, now: int, id_: str, query: dict[str, str]) -> None:
        self.operation = operation
        self.key = key
        self.now = now
        self.id = id_
        self.query = query
        self.document: Document = {}
        self.forced: Firing | None = None
        self.shown: Firing = OK_FIRING  # the behaviour that acted
        self.remember = True
        self.reference: str | None = None
        self.subject: str | None = None
        self.amount: int | None = None
        self.unit: str | None = None


class Route(NamedTuple):
    """`known`: the fields of the body that are read; the others are neither compared nor kept."""

    operation: str
    handle: Callable[[Any, Call], Reply]
    known: frozenset[str] = frozenset()
    needs: str = ""  # a capability


class Outcome(NamedTuple):
    """`document` is None where replaying must not read one: the body was refused."""

    reply: Reply
    call: Call
    document: Document | None


@dataclass(slots=True)
class State:
    """What both servers hold. `salt` makes the ids of one journal differ from those of another."""

    server: str
    salt: str
    faults: FaultProfile
    capabilities: Capabilities = field(default_factory=Capabilities)
    keys: KeyMemory = field(default_factory=lambda: KeyMemory(86_400))
    issued: int = 0
    due: list[tuple[int, int, str, str, str]] = field(default_factory=list)  # at, order, what, id, token
    misbehaved: dict[str, int] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    events_wanted: bool = False

    def new_id(self, prefix: str) -> str:
        self.issued += 1
        return f"{prefix}_{self.salt}{self.issued:06x}"

    def schedule(self, at: int, what: str, id_: str, token: str = "") -> None:
        self.issued += 1
        heappush(self.due, (at, self.issued, what, id_, token))

    def next_due(self) -> int:
        return self.due[0][0] if self.due else NEVER

    def shows(self, call: Call, chosen: tuple[Behaviour, int], subject: str) -> Firing:
        """The behaviour that acts on this executed call: a fault's, else the token's or ICCID's."""
        if call.forced is not None:
            return call.forced
        behaviour, times = chosen
        if behaviour is OK or (behaviour.operations and call.operation not in behaviour.operations):
            return OK_FIRING
        if times > 0:
            slot = f"{subject}/{behaviour.name}"
            seen = self.misbehaved.get(slot, 0)
            if seen >= times:
                return OK_FIRING
            self.misbehaved[slot] = seen + 1
        call.shown = firing_of(behaviour, times)
        return call.shown

    def emit(self, event_type: str, object_: Document, at: int, mischief: str = "") -> None:
        """A webhook, if anybody listens. A fault on the operation `webhook` outdoes the token's mischief."""
        if not self.events_wanted:
            return
        delay_us = 2_000_000
        firing = self.faults.fire("webhook") if self.faults.rules else None
        if firing is not None:
            mischief, delay_us = firing.behaviour.webhook, firing.delay_us
        self.events.append(Event(event_type, object_, at, mischief, delay_us))


class Gateway:
    """A server without its sockets: a state, its routes, and what happens when time passes."""

    def __init__(
        self, state: State, routes: dict[str, Route], on_due: Callable[[Any, int, str, str, str], None]
    ) -> None:
        self.state = state
        self.routes = routes | ADMINISTRATION
        self._on_due = on_due

    def advance(self, now: int) -> list[Effect]:
        """Do what fell due up to now, each at its own instant."""
        state = self.state
        while state.due and state.due[0][0] <= now:
            at, _, what, id_, token = heappop(state.due)
            self._on_due(state, at, what, id_, token)
        return self.taken_effects()

    def taken_effects(self) -> list[Effect]:
        effects, self.state.effects = self.state.effects, []
        return effects

    def taken_events(self) -> list[Event]:
        events, self.state.events = self.state.events, []
        return events

    def answer(self, request: Request, now: int) -> Outcome:
        """The reply to one request. Effects and events wait in the state to be taken."""
        path, _, query_text = request.target.partition("?")
        method = request.method
        shape, id_ = path, ""
        route = self.routes.get(f"{method} {path}")
        if route is None:
            shape, id_ = _shape(path)
            route = self.routes.get(f"{method} {shape}")
        call = Call(route.operation if route else "unknown", request.key, now, id_, _NO_QUERY)
        if route is None:
            return Outcome(self._no_route(method, shape), call, None)
        if self.state.faults.rules and route.operation not in ADMINISTRATIVE:
            call.forced = self.state.faults.fire(route.operation)
            if call.forced is not None:
                call.shown = call.forced
                if call.forced.behaviour.door:
                    return Outcome(door_reply(call.forced), call, None)
        try:
            if query_text:
                call.query = query_fields(query_text)
            if method == "GET":
                reply = self._look(route, call)
                return Outcome(delivered(reply, call.forced) if call.forced else reply, call, None)
            call.document = _document(request, route.known)
            return self._execute(route, call, request, path)
        except Refusal as refusal:
            # What was refused may hold anything, a card number included: it is not kept.
            kept = call.document if refusal.status == 409 else None
            return Outcome(refusal.reply(), call, kept)

    def _look(self, route: Route, call: Call) -> Reply:
        if route.needs and not getattr(self.state.capabilities, route.needs):
            raise Refusal(501, f"{call.operation}_unsupported", "This gateway cannot be asked that.")
        return route.handle(self.state, call)

    def _execute(self, route: Route, call: Call, request: Request, path: str) -> Outcome:
        state = self.state
        key = request.key if state.capabilities.honours_keys and route.known else None
        if key is not None:
            replay = self._replay(key, path, route, call)
            if replay is not None:
                return Outcome(replay, call, call.document)
        if route.needs and not getattr(state.capabilities, route.needs):
            raise Refusal(501, f"{call.operation}_unsupported", "This gateway cannot do that.")
        reply = route.handle(state, call)
        shown = call.shown
        if key is not None and call.remember and not shown.behaviour.forgets:
            body = request.body or orjson.dumps(call.document)
            firing = None if shown is OK_FIRING else shown
            about = (call.reference, call.subject, call.amount, call.unit, call.id)
            state.keys.remember(key, path, body, reply, call.now, firing=firing, about=about)
        if shown.behaviour.delivery and call.remember:
            reply = delivered(reply, shown)
        return Outcome(reply, call, call.document)

    def _replay(self, key: str, path: str, route: Route, call: Call) -> Reply | None:
        held = self.state.keys.recall(key, call.now)
        if held is None:
            return None
        same = held.path == path and _only(orjson.loads(held.body or b"{}"), route.known) == call.document
        if not same:
            raise Refusal(
                400,
                "idempotency_error",
                "This Idempotency-Key was used with other parameters or for another call: use a new key.",
            )
        call.reference, call.subject, call.amount, call.unit, call.id = held.about
        if held.answered_at > call.now:
            raise Refusal(
                409, "idempotency_key_in_use", "The first call under this key is in progress: ask again."
            )
        reply = Reply(held.status, held.answer, replayed=True)
        if held.spoiled is not None:
            return delivered(reply, held.spoiled)
        if call.forced is not None and call.forced.behaviour.delivery:
            return delivered(reply, call.forced)
        return reply

    def _no_route(self, method: str, shape: str) -> Reply:
        others = sorted(name.split()[0] for name in self.routes if name.split()[1] == shape)
        if others:
            return error_reply(
                405, "method_not_allowed", f"{method} is not served here: {', '.join(others)}."
            )
        return error_reply(404, "unknown_path", "There is nothing at this path: see the sandbox's README.")


def _shape(path: str) -> tuple[str, str]:
    """The path with its id taken out, and the id: /v1/refunds/re_1 is ("/v1/refunds/*", "re_1")."""
    parts = path.split("/")
    if len(parts) < 4:
        return path, ""
    id_ = parts[3]
    parts[3] = "*"
    return "/".join(parts), id_


def query_fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=20))
    except ValueError:
        raise Refusal(400, "query_invalid", "The query cannot be read, or has over 20 fields.") from None


def _document(request: Request, known: frozenset[str]) -> Document:
    if request.key is not None and not 0 < len(request.key) <= KEY_LIMIT:
        raise Refusal(
            400, "idempotency_key_invalid", f"Idempotency-Key must have 1 to {KEY_LIMIT} characters."
        )
    if request.document is not None:
        return request.document
    if not request.body:
        return {}
    try:
        document = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, "json_invalid", f"The body is not JSON: {error}.") from None
    if type(document) is not dict:
        # PUT /faults takes a bare list as well.
        if known or type(document) is not list:
            raise Refusal(400, "json_invalid", "The body must be a JSON object.")
        return {"faults": document}
    return _only(document, known) if known else document


def _only(document: Document, known: frozenset[str]) -> Document:
    if document.keys() <= known:
        return document
    return {name: value for name, value in document.items() if name in known}


def _put_faults(state: State, call: Call) -> Reply:
    state.faults.replace(call.document.get("faults"))
    return _get_faults(state, call)


def _get_faults(state: State, _: Call) -> Reply:
    return json_reply(200, {"faults": state.faults.view()})


def _delete_faults(state: State, call: Call) -> Reply:
    state.faults.rules = []
    return _get_faults(state, call)


def _put_capabilities(state: State, call: Call) -> Reply:
    document, held = call.document, state.capabilities
    unknown = set(document) - set(held.__slots__)
    if unknown:
        raise fields.invalid(min(unknown), "left out: there is no such capability")
    visible = fields.number(
        document, "visible_after_seconds", default=held.visible_after_seconds, most=86_400
    )
    seconds = held.keys_remembered_seconds
    if "keys_remembered_seconds" in document:
        seconds = fields.integer(document, "keys_remembered_seconds", least=0, most=10 * 366 * 86_400)
    state.capabilities = Capabilities(
        honours_keys=fields.flag(document, "honours_keys", default=held.honours_keys),
        can_query=fields.flag(document, "can_query", default=held.can_query),
        can_cancel=fields.flag(document, "can_cancel", default=held.can_cancel),
        keys_remembered_seconds=seconds,
        visible_after_seconds=visible or 0.0,
    )
    state.keys.remembered_seconds = seconds
    return _get_capabilities(state, call)


def _get_capabilities(state: State, _: Call) -> Reply:
    return json_reply(200, state.capabilities.view())


ADMINISTRATION: Final = {
    "PUT /faults": Route("put_faults", _put_faults),
    "GET /faults": Route("get_faults", _get_faults),
    "DELETE /faults": Route("delete_faults", _delete_faults),
    "PUT /capabilities": Route("put_capabilities", _put_capabilities),
    "GET /capabilities": Route("get_capabilities", _get_capabilities),
}
ADMINISTRATIVE: Final = frozenset(route.operation for route in ADMINISTRATION.values())
