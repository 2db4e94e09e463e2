-- migrate:up
create table charge_stops (
    scope text primary key,
    kind text not null,
    name text,
    stopped_by text not null,
    stopped_at timestamptz not null,
    why text not null
);

comment on table charge_stops is
'Where automatic charges are stopped now: everywhere, a brand, a carrier. The audit tells what was before.';

alter table kept_triggers add column held_by text;

comment on column kept_triggers.held_by is
'The charge stop that keeps it, by its scope; null where it is kept until the slot frees.';

-- migrate:down
alter table kept_triggers drop column held_by;

drop table charge_stops;
