-- migrate:up transaction:false

-- Without a transaction, and so without holding up whoever writes payment methods meanwhile. Where it breaks off it
-- leaves an index that is not valid: drop that one, then migrate again ("if not exists" would keep it).
-- squawk-ignore ban-concurrent-index-creation-in-transaction, prefer-robust-stmts
create index concurrently payment_methods_by_card on payment_methods (card) where card is not null;

-- migrate:down
drop index if exists payment_methods_by_card;
