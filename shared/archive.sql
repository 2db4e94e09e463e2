-- name: claim_walk
-- Where the walk stands. A process that is on it holds the row: there is nothing for another one to do.
select
    page,
    begun_at
from archive_walk
for update skip locked;

-- name: keep_walk
-- Where whoever walks next goes on: after a crash too, for it commits with what was moved.
update archive_walk
set page = $1, begun_at = $2;

-- name: count_pages
-- How far a walk goes. What is added behind it meanwhile is too young to be moved.
select pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint;

-- name: wait_briefly
-- A new partition locks its table for a moment. Whoever holds it longer is not to be waited for by all others.
set local lock_timeout = '2s';

-- name: partition_statement
-- The statement that makes the partition of a month: DDL takes no parameters, so the server writes it.
select
    format(
        'create table if not exists %I partition of %I for values from (%L) to (%L)',
        $1::text || to_char($2::timestamptz, '_YYYY_MM'),
        $1::text,
        $2::timestamptz,
        $2::timestamptz + interval '1 month'
    );
