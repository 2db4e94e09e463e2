-- migrate:up

-- A subscriber's STOP beside whoever else has paused the rule: neither is lifted with the other.
-- Where nobody else has, paused_at, _by and _why repeat it: processes of an older version go by those alone.
alter table renewal_rules
add column opted_out_at timestamptz,
add column opted_out_by text,
add column opted_out_why text;

comment on column renewal_rules.opted_out_at is 'Since when the subscriber has stopped it, by text message.';

-- migrate:down
alter table renewal_rules
drop column opted_out_why,
drop column opted_out_by,
drop column opted_out_at;
