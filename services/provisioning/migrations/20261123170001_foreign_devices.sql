-- migrate:up

-- One eSIM, one device: since when the binding holds, and the device against it. A binding from before this has no
-- beginning: any foreign usage counts against it. Processes of the version before read and write neither.
alter table subscriptions
add column bound_at timestamptz,
add column foreign_imei text;

comment on column subscriptions.bound_at is
'When the bound device was bound: what another one used before then was its right.';
comment on column subscriptions.foreign_imei is
'The device that used the data against the binding; null while none has.';

-- migrate:down
alter table subscriptions
drop column bound_at,
drop column foreign_imei;
