-- name: count_kept_reports
-- Whether another one may be kept.
select count(*) as kept from (select 1 from kept_reports limit $1) as kept

-- name: keep_reports
-- What is said of an ICCID that nobody has: the newest of each kind is all that matters.
insert into kept_reports as k (iccid, kind, source, report_id, remaining_bytes, expires_at, said_at)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[])
    as r (iccid, kind, source, report_id, remaining_bytes, expires_at, said_at)
order by r.iccid, r.kind
on conflict (iccid, kind) do update
set
    source = excluded.source, report_id = excluded.report_id, remaining_bytes = excluded.remaining_bytes,
    expires_at = excluded.expires_at, said_at = excluded.said_at
where excluded.said_at > k.said_at

-- name: take_kept_reports
-- What was kept of these ICCIDs and has a subscription by now; several processes share the work.
with known as (
    select k.iccid, k.kind
    from kept_reports as k
    join iccids as i on i.iccid = k.iccid
    where k.iccid = any($1::text[])
    order by k.iccid, k.kind
    limit $2
    for update of k skip locked
)

delete from kept_reports as k
using known
where k.iccid = known.iccid and k.kind = known.kind
returning k.iccid, k.kind, k.source, k.report_id, k.remaining_bytes, k.expires_at, k.said_at

-- name: reported_iccids_with_subscription
-- Finds what was kept while its subscription was just being learnt by another transaction.
select distinct k.iccid
from kept_reports as k
join iccids as i on i.iccid = k.iccid
limit $1

-- name: forget_kept_reports
-- Said so long ago that records of that day are not kept, either.
delete from kept_reports where ctid = any(array(
    select ctid from kept_reports where said_at < $1 limit $2
))
