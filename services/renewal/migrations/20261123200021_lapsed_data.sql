-- migrate:up

-- Data that lapses unused is not left any more when its trigger comes, and tells as much as data that is left: that less
-- would do. Null: nothing is known of it, or an older version kept the trigger.
alter table kept_triggers add column lapsed_bytes bigint;

comment on column kept_triggers.lapsed_bytes is 'What of the cycle''s data nobody had used when its time was over.';

-- migrate:down
alter table kept_triggers drop column lapsed_bytes;
