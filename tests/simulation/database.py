"""PostgreSQL as the services see it: transactions at READ COMMITTED on tables in memory, with row locks.

A row that a transaction writes is seen by others when it commits; whoever wants to lock it waits until then
and finds it as it has become. A circle of waiting is a deadlock, a wait of 10 s is given up, a transaction
whose client is silent for 30 s is ended by the server: as `shared/database/pool.py` orders it.

A statement is a function of `tests/simulation/stores`, which stands in for the store function of that name.
The messaging tables have their SQL run by the real Outbox and SetAside: those statements are found by text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

import asyncpg

LOCK_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 30.0

Key = TypeVar("Key")
Row = TypeVar("Row")
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
_IDLE: Final = timedelta(seconds=IDLE_SECONDS)
_GONE: Final[Any] = object()
_ENDED: Final = "the connection is closed: idle in a transaction for too long"


class Weather(Protocol):
    """What happens to a client of the database on its way: time passes, things break."""

    async def statement(self, transaction: Open, name: str) -> None:
        """Before a statement is run."""

    async def committing(self, transaction: Open) -> Callable[[], Exception] | None:
        """Before a commit; the error that the client sees although it was committed, if so."""

    async def committed(self, transaction: Open) -> None:
        """After a commit, before the client goes on."""


class Calm:
    """No time, no faults."""

    async def statement(self, transaction: Open, name: str) -> None:
        """Nothing comes between."""

    async def committing(self, _transaction: Open) -> Callable[[], Exception] | None:
        return None

    async def committed(self, transaction: Open) -> None:
        """Nothing comes between."""


class Table(Generic[Key, Row]):
    """Committed rows by primary key, and who holds which row."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: dict[Key, Row] = {}
        self.holders: dict[Key, Open] = {}
        self.on_commit: Callable[[Key, Row], None] | None = None
        """Called with every row that is committed."""


class Database:
    """One service's tables on one server, whose clock is the true one."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.open: set[Open] = set()
        self.statements: dict[str, Callable[..., Awaitable[Any]]] = {}
        """The messaging statements, by their SQL."""
        self._answers: dict[str, Any] = {}

    def until_a_commit(self, question: str, answer: Callable[[], Answer]) -> Answer:
        """What is the same until something is committed: looked up once, however often it is asked."""
        if question not in self._answers:
            self._answers[question] = answer()
        found: Answer = self._answers[question]
        return found

    def changed(self) -> None:
        """Rows are others than they were."""
        self._answers.clear()

    def hang_up(self, client: object) -> None:
        """The client's process is gone: the server rolls back what it had begun."""
        for transaction in [one for one in self.open if one.client is client]:
            transaction.end()


class Open:
    """A transaction under way. `now` is its instant (`now()`), the database's clock is `clock()`."""

    def __init__(self, database: Database, client: object, weather: Weather) -> None:
        self.database = database
        self.client = client
        self.weather = weather
        self.now = database.clock()
        self.broken: Exception | None = None
        self.active_at = self.now
        self.about: set[Any] = set()
        """The renewals whose rows it has locked or written."""
        self._written: dict[tuple[Table[Any, Any], Any], Any] = {}
        self._held: list[tuple[Table[Any, Any], Any]] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._waits_for: Open | None = None
        database.open.add(self)

    @property
    def clock(self) -> datetime:
        """`clock_timestamp()`: moves while the transaction goes on."""
        return self.database.clock()

    @property
    def is_idle(self) -> bool:
        """Whether the server has ended it, because its client was silent for too long."""
        return self.database.clock() - self.active_at > _IDLE

    # -- rows ---------------------------------------------------------------------------------------

    def get(self, table: Table[Key, Row], key: Key) -> Row | None:
        """The row as this transaction sees it."""
        own = self._written.get((table, key), self)
        if own is self:
            return table.rows.get(key)
        return None if own is _GONE else own

    def scan(self, table: Table[Key, Row]) -> list[tuple[Key, Row]]:
        """All rows as this transaction sees them."""
        if not any(written is table for written, _ in self._written):
            return list(table.rows.items())
        seen = dict(table.rows)
        for (written, key), row in self._written.items():
            if written is table:
                if row is _GONE:
                    seen.pop(key, None)
                else:
                    seen[key] = row
        return list(seen.items())

    def put(self, table: Table[Key, Row], key: Key, row: Row) -> None:
        """Write a row that this transaction holds."""
        self._written[table, key] = row

    def remove(self, table: Table[Key, Row], key: Key) -> None:
        """Delete a row that this transaction holds."""
        self._written[table, key] = _GONE

    async def lock(self, table: Table[Key, Row], key: Key) -> Row | None:
        """`for update`: the row as it is once nobody else holds it; None where there is none any more."""
        if self.get(table, key) is None:
            return None  # an insert that has not committed is not seen, and not waited for
        await self.hold(table, key)
        return self.get(table, key)

    async def lock_each(self, table: Table[Key, Row], keys: Iterable[Key]) -> list[tuple[Key, Row]]:
        """The same for several, one after the other: of those that the statement sees when it begins."""
        found = []
        for key in [key for key in keys if self.get(table, key) is not None]:
            row = await self.lock(table, key)
            if row is not None:
                found.append((key, row))
        return found

    async def lock_where(
        self, table: Table[Key, Row], wanted: Mapping[Key, Callable[[Row], bool]]
    ) -> list[tuple[Key, Row]]:
        """`update ... where`: what is not wanted when the statement begins is not waited for.

        What is not wanted any more when the wait is over stays locked all the same.
        """
        rows = {key: self.get(table, key) for key in wanted}
        seen = [key for key, row in rows.items() if row is not None and wanted[key](row)]
        return [(key, row) for key, row in await self.lock_each(table, seen) if wanted[key](row)]

    def is_free(self, table: Table[Key, Row], key: Key) -> bool:
        """Whether `skip locked` would take the row."""
        return table.holders.get(key) in (None, self)

    def take(self, table: Table[Key, Row], key: Key) -> None:
        """Hold a free row."""
        if table.holders.get(key) is not self:
            table.holders[key] = self
            self._held.append((table, key))

    async def insert(self, table: Table[Key, Row], key: Key, row: Row) -> bool:
        """`on conflict do nothing`; whether the row is ours."""
        if await self.is_taken(table, key):
            return False
        self.take(table, key)
        self.put(table, key, row)
        return True

    async def upsert(self, table: Table[Key, Row], key: Key, row: Row) -> Row | None:
        """`on conflict do update`: the row that is there already, held; None where it is ours now."""
        while not await self.insert(table, key, row):
            known = await self.lock(table, key)
            if known is not None:
                return known
        return None

    async def is_taken(self, table: Table[Key, Row], key: Key) -> bool:
        """Whether a unique index holds the key already.

        It waits for whoever is inserting, changing or deleting that row, not for who has only locked it.
        """
        while not self.is_free(table, key):
            if not table.holders[key].writes(table, key) and key in table.rows:
                return True
            await self._wait_until_free(table, key)
        return self.get(table, key) is not None

    def writes(self, table: Table[Key, Row], key: Key) -> bool:
        """Whether the row will be another one, or none, if this transaction commits."""
        return (table, key) in self._written

    async def hold(self, table: Table[Key, Row], key: Key) -> None:
        """Wait until nobody else holds the key, then hold it."""
        while not self.is_free(table, key):
            await self._wait_until_free(table, key)
        self.take(table, key)

    async def _wait_until_free(self, table: Table[Key, Row], key: Key) -> None:
        holder = table.holders[key]
        if holder.is_idle:
            holder.fail(asyncpg.InterfaceError(_ENDED))
        else:
            await self._wait_for(holder)

    async def _wait_for(self, holder: Open) -> None:
        reached: Open | None = holder
        while reached is not None:
            if reached is self:
                raise self.fail(asyncpg.DeadlockDetectedError("deadlock detected"))
            reached = reached._waits_for
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        holder._waiters.append(ended)
        self._waits_for = holder
        try:
            async with asyncio.timeout(LOCK_SECONDS):
                await ended
        except TimeoutError:
            raise self.fail(asyncpg.LockNotAvailableError("lock timeout")) from None
        finally:
            self._waits_for = None
        self._check()

    # -- its end ------------------------------------------------------------------------------------

    def begin_statement(self) -> None:
        """Raises what broke the transaction, or the connection, since."""
        now = self.database.clock()
        if self.broken is None and now - self.active_at > _IDLE:
            self.fail(asyncpg.InterfaceError(_ENDED))
        self.active_at = now
        self._check()

    def fail(self, error: Exception) -> Exception:
        """From now on every statement raises this; what was written is undone."""
        self.broken = error
        self.end()
        return error

    def commit(self) -> None:
        """What was written is seen by all."""
        self.begin_statement()
        if self._written:
            self.database.changed()
        for (table, key), row in self._written.items():
            if row is _GONE:
                table.rows.pop(key, None)
            else:
                table.rows[key] = row
                if table.on_commit is not None:
                    table.on_commit(key, row)
        self.end()

    def end(self) -> None:
        """Without a commit before: nothing was written. Whoever waited goes on."""
        self.database.open.discard(self)
        self._written.clear()
        held, self._held = self._held, []
        for table, key in held:
            table.holders.pop(key, None)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


class Session:
    """A connection: what asyncpg's would be asked for. Stands in for shared.database.Connection."""

    def __init__(self, database: Database, client: object, weather: Weather) -> None:
        self.database = database
        self.client = client
        self.weather = weather
        self.transaction_open: Open | None = None

    def transaction(self) -> Block:
        """As asyncpg's: commits when the block ends well, else rolls back."""
        return Block(self)

    async def fetch(self, sql: str, *arguments: Any) -> Any:
        """A messaging statement, alone or in the open transaction."""
        return await statement(self.database.statements[sql])(self, *arguments)

    fetchval = fetch
    execute = fetch


class Block:
    """A transaction of a session, as `async with` has it."""

    __slots__ = ("_opened", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session

    async def __aenter__(self) -> None:
        session = self._session
        self._opened = session.transaction_open = Open(session.database, session.client, session.weather)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await _commit(self._opened)
            else:
                self._opened.end()
        finally:
            self._session.transaction_open = None


class Pool:
    """Sessions of one client. Stands in for shared.database.Pool; as many at once as anybody wants."""

    def __init__(self, database: Database, client: object, weather: Weather) -> None:
        self._made: Callable[[], Session] = lambda: Session(database, client, weather)

    def acquire(self, **_: float) -> AbstractAsyncContextManager[Session]:
        return nullcontext(self._made())

    async def fetch(self, sql: str, *arguments: Any, **_: float) -> Any:
        return await self._made().fetch(sql, *arguments)

    execute = fetch


async def _commit(transaction: Open) -> None:
    error = None
    try:
        error = await transaction.weather.committing(transaction)
        transaction.commit()
    finally:
        transaction.end()
    if error is not None:
        raise error()
    await transaction.weather.committed(transaction)


Statement = Callable[Concatenate[Any, Arguments], Coroutine[Any, Any, Answer]]


def statement(
    work: Callable[Concatenate[Open, Arguments], Awaitable[Answer]],
) -> Statement[Arguments, Answer]:
    """A store function whose first argument is the open transaction instead of the connection.

    Outside of a transaction it is one of its own, as in PostgreSQL.
    """
    name = work.__name__

    async def run(connection: Any, /, *arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
        opened: Open | None = connection.transaction_open
        if opened is None:
            async with connection.transaction():
                return await run(connection, *arguments, **named)
        await opened.weather.statement(opened, name)
        opened.begin_statement()
        try:
            return await work(opened, *arguments, **named)
        except asyncpg.PostgresError as error:
            if opened.broken is None:
                opened.fail(error)
            raise

    run.__name__ = name
    run.__wrapped__ = work  # type: ignore[attr-defined] # as functools.wraps leaves it: for inspect.signature
    return run
