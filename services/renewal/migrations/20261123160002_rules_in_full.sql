-- migrate:up

-- What a rule says beyond its short form is one document. Processes of an older version go on writing the short form:
-- the document holds only while it was written with the row's present version.
alter table renewal_rules
add column document json,
add column document_version integer,
add column mandate_id text,
add column paused_at timestamptz,
add column paused_by text,
add column paused_why text;

comment on column renewal_rules.enabled is
'What an older version goes by: false also where the rule is paused, or says more than an older version would heed.';

create table mandates (
    subscription_id text not null,
    mandate_id text not null,
    payer_id text not null,
    text_version text not null,
    text_sha256 bytea,
    channel text not null,
    given_at timestamptz not null,
    language text not null,
    max_amount_minor bigint not null,
    currency text not null,
    valid_until timestamptz,
    recorded_by text not null,
    recorded_at timestamptz not null,
    revoked_at timestamptz,
    revoked_by text,
    revoked_why text,
    primary key (subscription_id, mandate_id)
);

comment on table mandates is
'Evidence of consent: who agreed to which text, when, where, up to which price. Never changed but by its revocation.';

create function refuse_to_change_a_mandate() returns trigger language plpgsql as $$
begin
    if old.revoked_at is null and new.revoked_at is not null
        and (to_jsonb(new) - array['revoked_at', 'revoked_by', 'revoked_why'])
        = (to_jsonb(old) - array['revoked_at', 'revoked_by', 'revoked_why'])
    then
        return new;
    end if;
    raise exception 'a mandate is evidence: it is only ever revoked, once';
end
$$;

create trigger mandates_are_evidence
before update on mandates
for each row execute function refuse_to_change_a_mandate();

-- Rules from before mandates stand on the word of whoever set them, up to the cap that they named.
insert into mandates (
    subscription_id, mandate_id, payer_id, text_version, channel, given_at, language, max_amount_minor, currency,
    recorded_by, recorded_at
)
select
    r.subscription_id,
    'before-mandates',
    s.owner_id,
    'before-mandates',
    'api',
    r.set_at,
    'und',
    r.cap_amount_minor,
    r.currency,
    r.set_by,
    r.set_at
from renewal_rules as r
inner join subscriptions as s on r.subscription_id = s.subscription_id;

update renewal_rules as r
set mandate_id = m.mandate_id
from mandates as m
where r.subscription_id = m.subscription_id;

create table renewal_decisions (
    subscription_id text not null,
    cycle integer not null,
    kind text not null,
    dunning_try integer not null,
    decided_at timestamptz not null,
    outcome text not null,
    reason text,
    detail text not null,
    renewal_id uuid,
    next_try_at timestamptz,
    mandate_id text,
    bound_by text,
    primary key (subscription_id, cycle, kind, dunning_try)
);

comment on table renewal_decisions is
'What became of each trigger, why, and when it is tried again: the last word so far. Old ones are forgotten.';

-- By block ranges: it finds old ones cheaply, and a new word about a trigger stays a HOT update.
create index renewal_decisions_by_time on renewal_decisions using brin (decided_at);

-- What rules want to know of what they name; read from the beginning of offerings.v1 by a consumer of its own.
create table offering_terms (
    offering_id text primary key,
    version integer not null,
    validity_seconds bigint not null,
    data_bytes bigint not null,
    destination text not null,
    status text not null
);

alter table kept_triggers
add column dunning_try integer not null default 1,
add column not_before timestamptz,
add column announced text,
add column remaining_bytes bigint,
add column granted_bytes bigint,
add column cycle_began_at timestamptz,
add column occurred_at timestamptz,
add column ends_at timestamptz;

comment on column kept_triggers.held_by is
'The charge stop that keeps it, by its scope; `time` until not_before; `pause` until its rule goes on; null until the slot frees.';

comment on column kept_triggers.announced is 'What its payer was told of before the charge: offering, amount, currency.';

-- migrate:down
alter table kept_triggers
drop column ends_at,
drop column occurred_at,
drop column cycle_began_at,
drop column granted_bytes,
drop column remaining_bytes,
drop column announced,
drop column not_before,
drop column dunning_try;

drop table offering_terms;

drop table renewal_decisions;

drop table mandates;

drop function refuse_to_change_a_mandate();

alter table renewal_rules
drop column paused_why,
drop column paused_by,
drop column paused_at,
drop column mandate_id,
drop column document_version,
drop column document;
