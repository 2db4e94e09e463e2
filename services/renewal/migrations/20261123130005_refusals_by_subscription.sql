-- migrate:up transaction:false

-- Without a transaction, and so without holding up whoever keeps refusals meanwhile. Where it breaks off it leaves an index
-- that is not valid: drop that one, then migrate again ("if not exists" would keep it).
-- squawk-ignore ban-concurrent-index-creation-in-transaction, prefer-robust-stmts
create index concurrently refusals_by_subscription on refusals (subscription_id, refused_at);

-- migrate:down
drop index if exists refusals_by_subscription;
