"""One role and one schema per service in the one database: a service can touch its own tables only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

DATABASE = "recarga"
CONNECT_TIMEOUT_SECONDS = 10
# For migrations: one that waits for a lock would make everybody behind it wait. Services set their own.
TIME_OUTS = ("lock_timeout = '10s'", "statement_timeout = '60s'")


def role_of(service: str) -> str:
    return f"recarga_{service}"


def url_as(url: str, role: str, password: str) -> str:
    """The same server and database, signed in as another role."""
    parts = urlsplit(url)
    address = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{address}"))


def url_to(url: str, database: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


async def create_database(url: str, database: str = DATABASE) -> str:
    """Makes the database where it is missing and returns its URL. Needs a role that may create databases."""
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        if not await connection.fetchval("select 1 from pg_database where datname = $1", database):
            await connection.execute(f"create database {_identifier(database)}")
    finally:
        await connection.close()
    return url_to(url, database)


async def create_roles(url: str, passwords: Mapping[str, str]) -> dict[str, str]:
    """For each service (`passwords` by service) a role that owns a schema of the service's name.

    Safe to repeat: the password is set anew, the rest is left. Returns each service's own URL.
    """
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        async with connection.transaction():
            # Two launchers of one server would otherwise both find a role missing.
            await connection.execute("select pg_advisory_xact_lock(hashtext('recarga roles'))")
            for service, password in passwords.items():
                await create_role(connection, role_of(service), service, password)
    finally:
        await connection.close()
    return {service: url_as(url, role_of(service), password) for service, password in passwords.items()}


async def create_role(
    connection: asyncpg.Connection[asyncpg.Record], role: str, schema: str, password: str
) -> None:
    """The role, its schema, and nothing else in its search path."""
    role_name, schema_name = _identifier(role), _identifier(schema)
    if not await connection.fetchval("select 1 from pg_roles where rolname = $1", role):
        await connection.execute(f"create role {role_name}")
    # The server escapes the password: DDL takes no parameters.
    statement = await connection.fetchval(
        "select format('alter role %I login password %L', $1::text, $2::text)", role, password
    )
    await connection.execute(statement)
    for setting in (f"search_path = {schema_name}", *TIME_OUTS):
        await connection.execute(f"alter role {role_name} set {setting}")
    await connection.execute(f"grant {role_name} to current_user")  # for servers where we are no superuser
    await connection.execute(f"create schema if not exists {schema_name} authorization {role_name}")


async def drop_roles(url: str, roles: Sequence[tuple[str, str]]) -> None:
    """Removes (role, schema) pairs with everything in them; those that are missing are passed over."""
    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_SECONDS)
    try:
        for role, schema in roles:
            await connection.execute(f"drop schema if exists {_identifier(schema)} cascade")
            await connection.execute(f"drop role if exists {_identifier(role)}")
    finally:
        await connection.close()


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
