-- migrate:up

-- An open bucket says since when it is there and what its end comes of. Rows are written so as top-ups and records come;
-- processes of the version before cannot read those, and wait for their successors (docs/adr/0012).
comment on column balances.open_buckets is
'What is left, in the order of consumption: [bucket_id, cycle, stacking, priority, remaining_bytes, expires_at, began_at, own end or null, seconds sold or null, borrowed_bytes], instants in microseconds since 1970. Without the last four where nothing was written since they came.';

-- migrate:down
update balances as b
set open_buckets = (
    select
        json_agg(
            json_build_array(
                o.bucket -> 0, o.bucket -> 1, o.bucket -> 2, o.bucket -> 3, o.bucket -> 4, o.bucket -> 5
            )
            order by o.place
        )
    from json_array_elements(b.open_buckets) with ordinality as o (bucket, place)
)
where json_array_length(b.open_buckets) > 0;

comment on column balances.open_buckets is
'What is left, in the order of consumption: [bucket_id, cycle, stacking, priority, remaining_bytes, expires_at in microseconds since 1970].';
