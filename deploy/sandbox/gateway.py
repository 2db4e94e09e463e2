"""The way every call takes through a sandbox server, the same for the PSP and the carrier.

    route -> fault at the door? -> key already known? -> the server decides -> remember -> fault in delivery?

Pure: `answer(request, now)` changes the state it was given and returns what came of it. The same
requests at the same instants give the same state, which is how a journal is replayed after a restart,
and how a simulation can drive a server without sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from .administration import ADMINISTRATION, ADMINISTRATIVE
from .exchange import Document, Effect, Event, Refusal, Reply, Request, error_reply
from .faults import delivered, door_reply
from .idempotency import KEY_LIMIT
from .state import OK_FIRING, Call, Outcome, Route, State

_NO_QUERY: Final[dict[str, str]] = {}


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
