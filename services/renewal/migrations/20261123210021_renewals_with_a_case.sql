-- migrate:up transaction:false

-- What waits for a person is found among all that is closed: a broken promise, a payment whose outcome was never learned, a
-- refund that came back. Few have one, and none of them is archived (archive.sql). `flags` changes where something deviates
-- only, so that the happy path still updates in place.
-- Without a transaction, and so without holding up renewals meanwhile. Where it breaks off it leaves an index that is not
-- valid: drop that one, then migrate again ("if not exists" would keep it).
-- squawk-ignore ban-concurrent-index-creation-in-transaction, prefer-robust-stmts
create index concurrently renewals_with_a_case on renewals (requested_at, renewal_id)
where string_to_array(flags, ' ') && '{promise_broken,unresolved,refund_failed_later}'::text [];

-- migrate:down
drop index if exists renewals_with_a_case;
