-- name: lock_carriers
-- One change of settings at a time: there are few, and two first ones would meet.
select pg_advisory_xact_lock(hashtext('carriers'))

-- name: carrier
-- The settings in force.
select carrier, counting, overrun, threshold_percent, threshold_bytes, predicted_seconds, expiring_seconds,
    tolerance_bytes, poll_seconds, version, set_by, set_at
from carriers
where carrier = $1

-- name: set_carrier
-- Replaces them as a whole. Who begins to be polled is taken into polls from the first ICCID on.
insert into carriers as c (carrier, counting, overrun, threshold_percent, threshold_bytes, predicted_seconds,
    expiring_seconds, tolerance_bytes, poll_seconds, version, set_by, set_at, polled_from)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, case when $9::integer is not null then '' end)
on conflict (carrier) do update
set
    counting = excluded.counting, overrun = excluded.overrun, threshold_percent = excluded.threshold_percent,
    threshold_bytes = excluded.threshold_bytes, predicted_seconds = excluded.predicted_seconds,
    expiring_seconds = excluded.expiring_seconds, tolerance_bytes = excluded.tolerance_bytes,
    poll_seconds = excluded.poll_seconds, version = excluded.version, set_by = excluded.set_by,
    set_at = excluded.set_at,
    polled_from = case when c.poll_seconds is null then excluded.polled_from else c.polled_from end

-- name: insert_version
-- What was set, by whom: never changed.
insert into carrier_versions (carrier, version, settings, set_by, set_at)
values ($1, $2, $3, $4, $5)

-- name: versions
-- A page of what was set, newest first.
select version, settings, set_by, set_at
from carrier_versions
where carrier = $1 and ($2::integer is null or version < $2)
order by version desc
limit $3
