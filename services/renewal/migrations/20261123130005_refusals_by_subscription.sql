-- migrate:up transaction:false
create index concurrently if not exists refusals_by_subscription on refusals (subscription_id, refused_at);

-- migrate:down
drop index refusals_by_subscription;
