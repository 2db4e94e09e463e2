-- migrate:up transaction:false

-- Without a transaction, and so without holding up whoever opens reviews meanwhile. Where it breaks off it leaves an index
-- that is not valid: drop that one, then migrate again ("if not exists" would keep it).
-- squawk-ignore ban-concurrent-index-creation-in-transaction, prefer-robust-stmts
create index concurrently acceptance_reviews_by_subscription on acceptance_reviews (subscription_id) where ended_at is null;

-- migrate:down
drop index if exists acceptance_reviews_by_subscription;
