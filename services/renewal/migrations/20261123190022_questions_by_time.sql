-- migrate:up transaction:false

-- Without a transaction, and so without holding up whoever keeps triggers meanwhile. Where it breaks off it leaves an index
-- that is not valid: drop that one, then migrate again ("if not exists" would keep it).
-- squawk-ignore ban-concurrent-index-creation-in-transaction, prefer-robust-stmts
create index concurrently kept_triggers_by_question on kept_triggers (kept_at) where asked is not null;

-- migrate:down
drop index if exists kept_triggers_by_question;
