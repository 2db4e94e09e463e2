-- name: put_devices
-- Writes models; one that is the same already is left alone.
insert into devices (tac, make, model, esim_supported)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) as d (tac, make, model, esim_supported)
order by d.tac
on conflict (tac) do update
set
    make = excluded.make, model = excluded.model, esim_supported = excluded.esim_supported, changed_at = now()
where (devices.make, devices.model, devices.esim_supported)
    is distinct from (excluded.make, excluded.model, excluded.esim_supported)

-- name: device
-- One model.
select tac, make, model, esim_supported from devices where tac = $1

-- name: put_platform
-- The oldest system that eSIM profiles are known to work on.
insert into platforms (platform, minimum_system_version) values ($1, $2)
on conflict (platform) do update
set minimum_system_version = excluded.minimum_system_version, changed_at = now()

-- name: minimum_system_version
-- What a device's system is compared with.
select minimum_system_version from platforms where platform = $1

-- name: platforms
-- All of them: there are few.
select platform, minimum_system_version from platforms order by platform limit 1000
