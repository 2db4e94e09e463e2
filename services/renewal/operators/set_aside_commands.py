"""The command line of keys that were set aside, in whichever service: look, let go, discard, keep back.

Each service keeps its own, so SERVICE says whose. RECARGA_<SERVICE>_URL or --url tells another address.
"""

import os
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from services.renewal.operators import set_aside_tables as tables
from services.renewal.operators.cli import Limit, Why, refusals_in_one_line
from services.renewal.operators.client import Api, Refused

set_aside = typer.Typer(no_args_is_help=True, help="Keys whose records could not be handled, in any service.")

_KEYS: Final = "/v1/operator/set-aside"
_PROPOSALS: Final = "/v1/operator/set-aside-proposals"
_PAGE: Final = 200
_MOST: Final = 100
"""Keys of one proposal."""


class ServiceName(StrEnum):
    """Who keeps the key, as the alert's label says."""

    RENEWAL = "renewal"
    CATALOG = "catalog"
    PAYMENT = "payment"
    PROVISIONING = "provisioning"
    USAGE = "usage"


_DEFAULT_URLS: Final = {
    name: f"http://127.0.0.1:{port}" for port, name in enumerate(ServiceName, start=18001)
}

Service = Annotated[ServiceName, typer.Argument(help="Who keeps the key.")]
Consumer = Annotated[str, typer.Argument(help="As `list` shows it.")]
KeyId = Annotated[str, typer.Argument(help="As `list` shows it.", metavar="KEY_ID")]
Version = Annotated[str, typer.Option(help="The key's version that was looked at: `list` tells it.")]


def _api(context: typer.Context, service: ServiceName) -> Api:
    """That service: at the address that --url names, else at its own."""
    api: Api = context.obj
    source = context.find_root().get_parameter_source("url")
    if service is ServiceName.RENEWAL or (source is not None and source.name == "COMMANDLINE"):
        return api
    return api.at(os.environ.get(f"RECARGA_{service.upper()}_URL") or _DEFAULT_URLS[service])


@set_aside.command("list")
def list_keys(
    context: typer.Context,
    service: Service,
    consumer: Annotated[str | None, typer.Option(help="Only of this consumer.")] = None,
    limit: Limit = 50,
) -> None:
    """Which keys wait, since when, and why."""
    with refusals_in_one_line():
        page = _api(context, service).get(_KEYS, consumer=consumer, limit=limit)
    tables.keys(page["items"], more=page["next_cursor"] is not None)


@set_aside.command("show")
def show_records(
    context: typer.Context, service: Service, consumer: Consumer, key_id: KeyId, limit: Limit = 50
) -> None:
    """The records of one key, in the order in which they will be handled."""
    with refusals_in_one_line():
        page = _api(context, service).get(f"{_KEYS}/{consumer}/{key_id}/records", limit=limit)
    tables.records(page["items"], more=page["next_cursor"] is not None)


@set_aside.command()
def release(
    context: typer.Context,
    service: Service,
    consumer: Consumer,
    key_id: KeyId,
    version: Version,
    why: Why,
) -> None:
    """Propose to let a key go, once the cause is removed; somebody else approves it."""
    with refusals_in_one_line():
        _release(_api(context, service), service, consumer, [(key_id, version)], why)


@set_aside.command("release-alike")
def release_alike(
    context: typer.Context,
    service: Service,
    consumer: Consumer,
    why: Why,
    reason: Annotated[str, typer.Option(help="Of the record that was set aside first, as `list` shows it.")],
) -> None:
    """Propose to let go the keys that wait for that reason, up to a hundred; somebody else approves it."""
    with refusals_in_one_line():
        api = _api(context, service)
        seen = [
            (key["key_id"], key["version"])
            for key in _waiting(api, consumer)
            if key["reason"] == reason and "release" in key["allowed"]
        ]
        if not seen:
            raise Refused(f"No key of {consumer} waits for that reason. `set-aside list` shows what waits.")
        _release(api, service, consumer, seen[:_MOST], why)
    if len(seen) > _MOST:
        tables.told(f"{len(seen) - _MOST} more wait for that reason: propose again once these are handled.")


def _waiting(api: Api, consumer: str) -> list[dict[str, Any]]:
    """All keys of the consumer, page by page."""
    keys: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = api.get(_KEYS, consumer=consumer, limit=_PAGE, cursor=cursor)
        keys += page["items"]
        cursor = page["next_cursor"]
        if cursor is None or len(keys) >= 50 * _PAGE:
            return keys


def _release(api: Api, service: ServiceName, consumer: str, seen: list[tuple[str, str]], why: str) -> None:
    keys = [{"key_id": key_id, "version": version} for key_id, version in seen]
    _proposed(service, api.post(f"{_KEYS}/release", consumer=consumer, keys=keys, why=why))


def _proposed(service: ServiceName, proposal: dict[str, Any]) -> None:
    tables.proposals([proposal])
    tables.told(
        f"\nSomebody else decides, until {tables.when(proposal['expires_at'])}, "
        f"with: set-aside approve {service} {proposal['proposal_id']}"
    )


@set_aside.command()
def discard(
    context: typer.Context,
    service: Service,
    consumer: Consumer,
    key_id: KeyId,
    version: Version,
    topic: Annotated[str, typer.Option(help="Of the record.")],
    partition: Annotated[int, typer.Option(help="Of the record.")],
    offset: Annotated[int, typer.Option(help="Of the record.")],
    why: Why,
) -> None:
    """Propose to forget one record for good; the others of its key go on waiting."""
    with refusals_in_one_line():
        proposal = _api(context, service).post(
            f"{_KEYS}/{consumer}/{key_id}/discard",
            version=version,
            topic=topic,
            partition=partition,
            offset=offset,
            why=why,
        )
    _proposed(service, proposal)


@set_aside.command()
def hold(
    context: typer.Context,
    service: Service,
    consumer: Consumer,
    key_id: KeyId,
    version: Version,
    why: Why,
) -> None:
    """Keep back a key that was let go and fails again."""
    with refusals_in_one_line():
        key = _api(context, service).post(f"{_KEYS}/{consumer}/{key_id}/hold", version=version, why=why)
    tables.keys([key], more=False)


@set_aside.command()
def proposals(
    context: typer.Context,
    service: Service,
    state: Annotated[str, typer.Option(help="open, approved, rejected or expired.")] = "open",
    limit: Limit = 50,
) -> None:
    """What was proposed; what is open waits for a second person."""
    with refusals_in_one_line():
        page = _api(context, service).get(_PROPOSALS, state=state, limit=limit)
    tables.proposals(page["items"])


@set_aside.command()
def approve(context: typer.Context, service: Service, proposal_id: UUID, why: Why) -> None:
    """Do what somebody else proposed, to the keys that are still as they saw them."""
    with refusals_in_one_line():
        told = _api(context, service).post(f"{_PROPOSALS}/{proposal_id}/approve", why=why)
    tables.told(f"{told['action']}: {len(told['done'])} done, {len(told['moved'])} moved.")


@set_aside.command()
def reject(context: typer.Context, service: Service, proposal_id: UUID, why: Why) -> None:
    """Be against a proposal, or take back one's own."""
    with refusals_in_one_line():
        told = _api(context, service).post(f"{_PROPOSALS}/{proposal_id}/reject", why=why)
    tables.proposals([told])


@set_aside.command()
def audit(
    context: typer.Context,
    service: Service,
    consumer: Annotated[str | None, typer.Option(help="About this consumer.")] = None,
    key: Annotated[str | None, typer.Option(help="About this key, by its id.")] = None,
    limit: Limit = 50,
) -> None:
    """Who did what to which key and why, newest first."""
    with refusals_in_one_line():
        page = _api(context, service).get(
            "/v1/operator/set-aside-audit", consumer=consumer, key_id=key, limit=limit
        )
    tables.audit(page["items"], more=page["next_cursor"] is not None)
