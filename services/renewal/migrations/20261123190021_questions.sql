-- migrate:up

-- What costs more than was agreed to waits for its payer's answer, as a try of its own.
-- held_by is `time` without a not_before: processes of an older version leave it alone.
alter table kept_triggers add column asked text;

comment on column kept_triggers.asked is
'What its payer was asked to agree to: offering, amount in minor units, currency. It goes on when as much is agreed to.';

-- migrate:down
alter table kept_triggers drop column asked;
