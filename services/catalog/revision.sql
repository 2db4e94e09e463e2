-- name: lock_price_list
-- One writer at a time, and none while a process learns where the list stands.
select pg_advisory_xact_lock(hashtextextended(current_schema() || '.price_list', 0))

-- name: clock
-- The database's clock: changes take effect by it, so that all processes agree.
select clock_timestamp()

-- name: next_revision
-- Tells every process that there is something new.
update price_list_revision set revision = revision + 1 returning revision

-- name: wait_for_writers
-- When this returns, every change that takes effect before the given instant plus the lead is committed.
select clock_timestamp() as known_at,
    pg_advisory_xact_lock_shared(hashtextextended(current_schema() || '.price_list', 0))

-- name: revision
-- The cheap check: nothing else is read while it stays the same.
select revision from price_list_revision
