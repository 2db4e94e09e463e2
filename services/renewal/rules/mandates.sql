-- name: insert_mandates
-- Evidence as it was given; who records the same twice has recorded it once.
insert into mandates (
    subscription_id, mandate_id, payer_id, text_version, text_sha256, channel, given_at, language,
    max_amount_minor, currency, valid_until, recorded_by, recorded_at
)
select *
from unnest(
    $1::text [], $2::text [], $3::text [], $4::text [], $5::bytea [], $6::text [], $7::timestamptz [], $8::text [],
    $9::bigint [], $10::text [], $11::timestamptz [], $12::text [], $13::timestamptz []
)
on conflict (subscription_id, mandate_id) do nothing;

-- name: read_mandates
-- Mandates by subscription and name, in the order in which they are asked for.
select
    m.subscription_id, m.mandate_id, m.payer_id, m.text_version, m.text_sha256, m.channel, m.given_at, m.language,
    m.max_amount_minor, m.currency, m.valid_until, m.recorded_by, m.recorded_at, m.revoked_at, m.revoked_by,
    m.revoked_why
from unnest($1::text [], $2::text []) as wanted (subscription_id, mandate_id)
inner join mandates as m on wanted.subscription_id = m.subscription_id and wanted.mandate_id = m.mandate_id;

-- name: list_mandates
-- All that a payer ever agreed to for a subscription, newest first; bounded: more would be an incident.
select
    subscription_id, mandate_id, payer_id, text_version, text_sha256, channel, given_at, language,
    max_amount_minor, currency, valid_until, recorded_by, recorded_at, revoked_at, revoked_by, revoked_why
from mandates
where subscription_id = $1
order by given_at desc, mandate_id
limit 200;

-- name: revoke_mandate
-- From its commit on nothing is charged upon it. Revoking twice is revoking once.
update mandates
set revoked_at = $3, revoked_by = $4, revoked_why = $5
where subscription_id = $1 and mandate_id = $2 and revoked_at is null;
