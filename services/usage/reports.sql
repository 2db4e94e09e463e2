-- name: last_reports
-- Of which moment the newest report was that was compared: read under the lock on its balance.
select subscription_id, reported_at
from drifts
where subscription_id = any($1::text[])

-- name: taken_around
-- What records took after each report, by bucket; and what the carrier counted itself between the last report and
-- this one (bucket null).
select w.subscription_id, used.bucket_id, used.size
from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as w (subscription_id, last_at, reported_at)
cross join lateral (
    select split_part(part.part, '=', 1) as bucket_id, sum(split_part(part.part, '=', 2)::bigint)::bigint as size
    from usage_records as u
    cross join lateral string_to_table(u.allocation, ' ') as part (part)
    where u.subscription_id = w.subscription_id and u.ended_at > w.reported_at
        and u.ended_on >= (w.reported_at at time zone 'UTC')::date and u.allocation <> ''
    group by 1
    union all
    select null as bucket_id, sum(u.bytes_up + u.bytes_down)::bigint as size
    from usage_records as u
    where u.subscription_id = w.subscription_id and u.ended_at > w.last_at and u.ended_at <= w.reported_at
        and u.ended_on >= (w.last_at at time zone 'UTC')::date and u.allocation is null
    having count(*) > 0
) as used

-- name: upsert_drifts
-- What the newest report of each was compared to.
insert into drifts (subscription_id, source, reported_at, theirs_bytes, ours_bytes, drift_bytes, corrected_bytes,
    unplaced_bytes, compared_at)
select d.*, $9::timestamptz
from unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[])
    as d (subscription_id, source, reported_at, theirs_bytes, ours_bytes, drift_bytes, corrected_bytes,
        unplaced_bytes)
order by d.subscription_id
on conflict (subscription_id) do update
set
    source = excluded.source, reported_at = excluded.reported_at, theirs_bytes = excluded.theirs_bytes,
    ours_bytes = excluded.ours_bytes, drift_bytes = excluded.drift_bytes, corrected_bytes = excluded.corrected_bytes,
    unplaced_bytes = excluded.unplaced_bytes, compared_at = excluded.compared_at

-- name: drift
-- One subscription's, for whoever asks why the balance was corrected.
select subscription_id, source, reported_at, theirs_bytes, ours_bytes, drift_bytes, corrected_bytes, unplaced_bytes,
    compared_at
from drifts
where subscription_id = $1
