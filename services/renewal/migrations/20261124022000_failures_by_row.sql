-- migrate:up

-- Each row of the retry policy has a budget and a first delay of its own. Older versions count in `spent` alone: where
-- the two disagree, `spent` is right.
alter table renewals add column failures text;

comment on column renewals.failures is
'Failures of the present step by row of the retry policy: words <row>:<times>:<spent>. Null: none.';

-- migrate:down
alter table renewals drop column failures;
