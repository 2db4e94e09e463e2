-- migrate:up

-- A trigger tells that the data was used in another device than the bound one, before the projection knows that it does not
-- match: which one is bound tells whether usage knew of the same binding. Null: unknown, heard of by an older version.
alter table subscriptions add column bound_imei text;

alter table kept_triggers add column offended_imei text;

comment on column subscriptions.bound_imei is 'The device that it is bound to. Null also where an older version heard of it last.';

comment on column kept_triggers.offended_imei is 'The device that was bound when the data was used in another one.';

-- migrate:down
alter table kept_triggers drop column offended_imei;

alter table subscriptions drop column bound_imei;
