-- migrate:up
-- From statistics of a few dozen renewals admission's read is planned to scan them all for each request, and does so
-- until the next analyze, however fast they have become thousands. Without statistics it takes the index.
alter table renewals set (
    autovacuum_analyze_threshold = 5000, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000
);

-- migrate:down
alter table renewals reset (
    autovacuum_analyze_threshold, autovacuum_vacuum_threshold, autovacuum_vacuum_insert_threshold
);
