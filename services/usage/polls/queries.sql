-- name: project_polls
-- Who is to be polled, by the newest state of each of these subscriptions. A carrier that begins to be polled while
-- this runs has its subscriptions taken in from the first on: one that slips through comes with its next message.
with wanted as materialized (
    select s.subscription_id, s.carrier, s.iccid, s.changed_at, c.carrier is not null and s.is_open as is_polled
    from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::boolean[])
        as s (subscription_id, carrier, iccid, changed_at, is_open)
    left join carriers as c on s.carrier = c.carrier and c.counting = 'snapshots' and c.poll_seconds is not null
),

gone as (
    delete from polls as p
    using wanted as w
    where p.subscription_id = w.subscription_id and not w.is_polled and w.changed_at >= p.iccid_changed_at
)

insert into polls (subscription_id, carrier, iccid, iccid_changed_at)
select w.subscription_id, w.carrier, w.iccid, w.changed_at
from wanted as w
where w.is_polled
order by w.subscription_id
on conflict (subscription_id) do update
set carrier = excluded.carrier, iccid = excluded.iccid, iccid_changed_at = excluded.iccid_changed_at
where excluded.iccid_changed_at > polls.iccid_changed_at
    and (excluded.carrier <> polls.carrier or excluded.iccid <> polls.iccid)

-- name: lock_enrolment
-- A carrier whose subscriptions are still being taken in; several processes share the work.
select carrier, polled_from
from carriers
where polled_from is not null
order by carrier
limit 1
for update skip locked

-- name: enrol
-- Takes in the subscriptions of the carrier among the next ICCIDs; the newest ICCID of each counts.
with walked as materialized (
    select i.iccid, i.subscription_id, i.changed_at
    from iccids as i
    where i.iccid > $2
    order by i.iccid
    limit $3
),

taken as (
    insert into polls (subscription_id, carrier, iccid, iccid_changed_at)
    select distinct on (w.subscription_id) w.subscription_id, b.carrier, w.iccid, w.changed_at
    from walked as w
    cross join lateral (
        select a.carrier from balances as a where a.subscription_id = w.subscription_id limit 1
    ) as b
    where b.carrier = $1
    order by w.subscription_id, w.changed_at desc
    on conflict (subscription_id) do update
    set carrier = excluded.carrier, iccid = excluded.iccid, iccid_changed_at = excluded.iccid_changed_at
    where excluded.iccid_changed_at > polls.iccid_changed_at
)

update carriers
set polled_from = (select case when count(*) = $3 then max(w.iccid) end from walked as w)
where carrier = $1

-- name: claim_polls
-- Whose balance is asked for now: for each lane so many, shared evenly among its carriers, those first that have
-- waited longest. Until the lease is over nobody else asks.
with lanes as materialized (
    select c.carrier, w.number / count(*) over (partition by w.lane) + 1 as number
    from unnest($1::text[], $2::integer[]) as w (lane, number)
    join carriers as c on c.carrier = w.lane or (w.lane = '*' and c.carrier <> all($3::text[]))
    where c.counting = 'snapshots' and c.poll_seconds is not null
),

due as materialized (
    select d.subscription_id
    from lanes as l
    cross join lateral (
        select p.subscription_id
        from polls as p
        where p.carrier = l.carrier and p.due_at <= now()
        order by p.due_at
        limit l.number
        for update skip locked
    ) as d
)

update polls as p
set due_at = clock_timestamp() + make_interval(secs => $4)
from due as d
where p.subscription_id = d.subscription_id
returning p.subscription_id, p.carrier, p.iccid

-- name: polled_iccids
-- Which eSIM each is asked for now: an answer about one that was replaced meanwhile is of no use.
select subscription_id, iccid
from polls
where subscription_id = any($1::text[])

-- name: put_off_polls
-- What was asked is asked again after poll_seconds, give or take a tenth: what began together does not stay so.
-- What was not asked waits, due at once.
update polls as p
set due_at = case
    when t.was_asked
        then clock_timestamp() + make_interval(secs => coalesce(c.poll_seconds, 3600) * (0.9 + random() * 0.2))
    else clock_timestamp()
end
from (
    select asked.subscription_id, asked.was_asked, q.carrier
    from unnest($1::text[], $2::boolean[]) as asked (subscription_id, was_asked)
    cross join lateral (
        select r.carrier from polls as r where r.subscription_id = asked.subscription_id limit 1 for update
    ) as q
) as t
left join carriers as c on t.carrier = c.carrier
where p.subscription_id = t.subscription_id

-- name: count_due_polls
-- For those who watch: how many wait of each carrier, counted up to a bound.
select c.carrier, d.number
from carriers as c
cross join lateral (
    select count(*) as number
    from (select 1 from polls as p where p.carrier = c.carrier and p.due_at <= now() limit $1) as due
) as d
where c.counting = 'snapshots' and c.poll_seconds is not null
