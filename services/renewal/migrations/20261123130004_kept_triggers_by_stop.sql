-- migrate:up transaction:false
create index concurrently if not exists kept_triggers_by_stop on kept_triggers (held_by);

-- migrate:down
drop index kept_triggers_by_stop;
