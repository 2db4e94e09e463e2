-- migrate:up
-- A statement that is prepared while its tables have a few dozen rows, and statistics that say so, reads them wholly
-- for every request of a batch, and goes on to while they grow by thousands. Without statistics it takes the index.
alter table renewals set (
    autovacuum_analyze_threshold = 5000, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000
);

alter table refusals set (
    autovacuum_analyze_threshold = 5000, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000
);

alter table subscriptions set (
    autovacuum_analyze_threshold = 5000, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000
);

alter table customers set (
    autovacuum_analyze_threshold = 5000, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000
);

alter table payment_methods set (
    autovacuum_analyze_threshold = 5000, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000
);

-- migrate:down
alter table payment_methods reset (
    autovacuum_analyze_threshold, autovacuum_vacuum_threshold, autovacuum_vacuum_insert_threshold
);

alter table customers reset (
    autovacuum_analyze_threshold, autovacuum_vacuum_threshold, autovacuum_vacuum_insert_threshold
);

alter table subscriptions reset (
    autovacuum_analyze_threshold, autovacuum_vacuum_threshold, autovacuum_vacuum_insert_threshold
);

alter table refusals reset (
    autovacuum_analyze_threshold, autovacuum_vacuum_threshold, autovacuum_vacuum_insert_threshold
);

alter table renewals reset (
    autovacuum_analyze_threshold, autovacuum_vacuum_threshold, autovacuum_vacuum_insert_threshold
);
