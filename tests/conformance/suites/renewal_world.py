"""What others told renewal of: who has what, what is sold, standing rules, and where charges are stopped."""

from __future__ import annotations

import json
from typing import Final, get_args

from services.renewal.cut_over.domain.cohort import Share
from services.renewal.domain.charge_stop import StopKind, scope_of
from services.renewal.rules.domain.mandate import BEFORE_MANDATES, Mandate
from services.renewal.rules.domain.rule import Pause, RenewalRule, short_form
from services.renewal.rules.store import row_of
from tests.conformance.lots import SUBSCRIPTIONS, Lot
from tests.conformance.stage import Stage
from tests.simulation.stores.renewal import CutOverLine, OfferingLine, SubscriptionLine

OFFERING: Final = "cuba-1gb"
IMEI: Final = "490154203237518"
METHODS: Final = ("card-1", "card-2", "card-3")
OWNER: Final = "owner-1"
KINDS: Final[tuple[StopKind, ...]] = get_args(StopKind)
NAMES: Final[dict[StopKind, str | None]] = {
    "everywhere": None,
    "brand": "nauta",
    "carrier": "cubacel",
    "subscription": SUBSCRIPTIONS[0],
}
MANDATE: Final = "m-1"
_COLUMNS: Final = (
    "subscription_id",
    "version",
    "document",
    "triggers",
    "offering_id",
    "payment_method_ids",
    "cap_amount_minor",
    "currency",
    "enabled",
    "mandate_id",
    "paused_at",
    "paused_by",
    "paused_why",
    "opted_out_at",
    "opted_out_by",
    "opted_out_why",
)
SCOPES: Final = tuple(scope_of(kind, NAMES[kind]) for kind in KINDS)


async def settle(stage: Stage) -> None:
    """The first subscription has all that a renewal needs; the others less."""
    for name in SUBSCRIPTIONS[:2]:
        await _subscription(stage, name, "active", top_ups=0)
    await _customer(stage, is_verified=True)
    await _offering(stage, "on_sale")
    for name in METHODS[:2]:
        await _method(stage, name, "active")
    await _rule(stage, SUBSCRIPTIONS[0], is_enabled=True)
    await _rule(stage, SUBSCRIPTIONS[1], is_enabled=False, is_older=True)
    await _mandate(stage, SUBSCRIPTIONS[0])
    reset = {"scope": scope_of("subscription", SUBSCRIPTIONS[0]), "reset_at": stage.now}
    await stage.put("burst_resets", reset["scope"], stage.now, "burst_resets", **reset)


async def change(stage: Stage, lot: Lot) -> None:
    """Something is told anew."""
    match lot.number(1, 7):
        case 1:
            name, status = lot.one(SUBSCRIPTIONS), lot.one(("active", "suspended", "expired"))
            await _subscription(stage, name, status, top_ups=lot.number(0, 5))
        case 2:
            await _customer(stage, is_verified=lot.chance(0.5))
        case 3:
            await _offering(stage, lot.one(("on_sale", "withdrawn")))
        case 4:
            await _method(stage, lot.one(METHODS), lot.one(("active", "expired")))
        case 5:
            await _rule(
                stage,
                lot.one(SUBSCRIPTIONS),
                is_enabled=lot.chance(0.6),
                is_paused=lot.chance(0.2),
                is_older=lot.chance(0.3),
            )
        case 6:
            await _cut_over(stage, lot)
        case _:
            await _stop_or_go_on(stage, lot.one(KINDS))


async def _subscription(stage: Stage, name: str, status: str, *, top_ups: int) -> None:
    is_bound = status == "active"
    imei = IMEI if is_bound else None
    line = SubscriptionLine("nauta", "cubacel", OWNER, status, True, is_bound, top_ups, imei)
    row = {"subscription_id": name, "version": 1, **line._asdict()}
    await stage.put("subscriptions", name, line, "subscriptions", **row)


async def _customer(stage: Stage, *, is_verified: bool) -> None:
    row = {"customer_id": OWNER, "version": 1, "identity_verified": is_verified}
    await stage.put("customers", OWNER, is_verified, "customers", **row)


async def _offering(stage: Stage, status: str) -> None:
    line = OfferingLine(status, ["nauta"], [], ["active", "expired"])
    row = {"offering_id": OFFERING, "version": 1, **line._asdict()}
    await stage.put("offerings", OFFERING, line, "offerings", **row)


async def _method(stage: Stage, name: str, status: str) -> None:
    row = {"payment_method_id": name, "version": 1, "payer_id": OWNER, "status": status}
    await stage.put("methods", name, (OWNER, status), "payment_methods", **row)


async def _rule(
    stage: Stage, name: str, *, is_enabled: bool, is_paused: bool = False, is_older: bool = False
) -> None:
    """Written by us, or in its short form by a process of an older version."""
    says = short_form(("exhausted",), OFFERING, METHODS, 1500, "USD", enabled=is_enabled)
    pause = Pause(stage.now, "ana", "Travelling.") if is_paused else None
    rule = RenewalRule(name, 1, says, MANDATE, pause)
    row = dict(zip(_COLUMNS, row_of(rule), strict=True))
    row |= {"triggers": ["exhausted"], "payment_method_ids": [*METHODS], "document_version": 1}
    if is_older:
        row |= {"document_version": None, "enabled": is_enabled}
    await stage.put("rules", name, rule, "renewal_rules", **row, set_by="app", set_at=stage.now)


async def _cut_over(stage: Stage, lot: Lot) -> None:
    """The next setting, and somebody who is named by it."""
    version = len(stage.memory.cut_overs.rows) + 1
    share = Share("nauta", lot.perhaps("cubacel"), lot.number(0, 100))
    line = CutOverLine(lot.number(0, 100), (share,))
    row = {"version": version, "percent": line.percent, "shares": json.dumps([share._asdict()])}
    told = {"live": 1, "shadow": 0, "why": "A step.", "set_by": "ana", "set_at": stage.now}
    await stage.put("cut_overs", version, line, "cut_overs", **row, **told)
    name, is_live = lot.one(SUBSCRIPTIONS), lot.chance(0.5)
    await stage.put("listed", name, is_live, "cut_over_lists", subscription_id=name, live=is_live)


async def _mandate(stage: Stage, name: str) -> None:
    line = Mandate(
        name,
        MANDATE,
        OWNER,
        BEFORE_MANDATES,
        None,
        "api",
        stage.now,
        "und",
        1500,
        "USD",
        None,
        "app",
        stage.now,
    )
    await stage.put("mandates", (name, MANDATE), line, "mandates", **line._asdict())


async def _stop_or_go_on(stage: Stage, kind: StopKind) -> None:
    scope = scope_of(kind, NAMES[kind])
    if scope in stage.memory.stops.rows:
        await stage.server.watcher.execute("delete from charge_stops where scope = $1", scope)
        del stage.memory.stops.rows[scope]
        return
    by = "breaker" if stage.now.microsecond % 2 else "ana"
    row = {"scope": scope, "kind": kind, "name": NAMES[kind], "stopped_by": by, "stopped_at": stage.now}
    await stage.put("stops", scope, by, "charge_stops", **row, why="An incident.")
