"""What a test, not a customer, asks of a server: its fault profile and what it can do."""

from __future__ import annotations

from typing import Final

from . import fields
from .exchange import Reply, json_reply
from .state import Call, Capabilities, Route, State


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
