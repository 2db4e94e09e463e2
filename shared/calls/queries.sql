-- name: lease_permits
-- Gives the next instants at which a gateway may be called away, once for all processes: as many as fit into $2 seconds.
-- What lies further ahead than $3 seconds was given by a clock that has been set back since.
insert into call_permits as p (gateway, taken_until)
values ($1, clock_timestamp() + make_interval(secs => $2))
on conflict (gateway) do update
    set
        taken_until = greatest(
            least(p.taken_until, clock_timestamp() + make_interval(secs => $3)), clock_timestamp()
        ) + make_interval(secs => $2)
returning extract(epoch from taken_until - clock_timestamp())::double precision;
