-- name: bucket
-- The bucket as it was granted.
select subscription_id, bucket_id, cycle, granted_bytes, created_at
from buckets
where subscription_id = $1 and bucket_id = $2

-- name: explained
-- What events brought or took, and what records took: together what is left.
select
    coalesce((
        select sum(e.size_bytes)
        from bucket_events as e
        where e.subscription_id = $1 and e.bucket_id = $2
    ), 0)::bigint as events_bytes,
    coalesce((
        select sum(split_part(part.part, '=', 2)::bigint)
        from usage_records as u
        cross join lateral string_to_table(u.allocation, ' ') as part (part)
        where u.subscription_id = $1 and u.allocation <> '' and split_part(part.part, '=', 1) = $2
    ), 0)::bigint as used_bytes

-- name: history
-- A page of what befell the bucket, oldest first: events by themselves, usage by the hour or day in which it ended.
select at, place, kind, size_bytes, records, expires_at
from (
    select e.at, e.event_no as place, e.kind, e.size_bytes, null::bigint as records, e.expires_at
    from bucket_events as e
    where e.subscription_id = $1 and e.bucket_id = $2
    union all
    select
        date_trunc($3, u.ended_at, 'UTC') as at, 0 as place, 'used' as kind,
        -sum(split_part(part.part, '=', 2)::bigint)::bigint as size_bytes, count(*) as records, null as expires_at
    from usage_records as u
    cross join lateral string_to_table(u.allocation, ' ') as part (part)
    where u.subscription_id = $1 and u.allocation <> '' and split_part(part.part, '=', 1) = $2
    group by 1
) as line
where $4::timestamptz is null or (line.at, line.place) > ($4, $5::bigint)
order by line.at, line.place
limit $6

-- name: usage_by
-- What was used in each whole hour or day, by when it ended; those without usage are zero.
with used as materialized (
    select
        date_trunc($4, u.ended_at, 'UTC') as began_at, sum(u.bytes_up)::bigint as bytes_up,
        sum(u.bytes_down)::bigint as bytes_down, count(*) as records
    from usage_records as u
    where u.subscription_id = $1 and u.ended_at >= $2::timestamptz and u.ended_at < $3::timestamptz
        and u.ended_on >= ($2 at time zone 'UTC')::date and u.ended_on <= ($3 at time zone 'UTC')::date
    group by 1
)

select
    spot.began_at, coalesce(used.bytes_up, 0) as bytes_up, coalesce(used.bytes_down, 0) as bytes_down,
    coalesce(used.records, 0) as records
from generate_series($2::timestamptz, $3::timestamptz - interval '1 microsecond', $5::interval) as spot (began_at)
left join used on spot.began_at = used.began_at
order by spot.began_at

-- name: triggers
-- A page of what was said, newest cycle first.
select cycle, kind, remaining_bytes, occurred_at
from triggers
where subscription_id = $1 and ($2::integer is null or (cycle, kind) < ($2, $3))
order by cycle desc, kind desc
limit $4
