-- migrate:up

-- A renewal that has waited for its payer promises anew from then: what they took themselves is no delay of ours.
-- Null: the promise counts from the request, or an older version took the payer's answer.
alter table renewals add column promised_from timestamptz;

comment on column renewals.promised_from is
'When the payer''s turn ended: the promise counts anew from then. Null: from requested_at.';

-- migrate:down
alter table renewals drop column promised_from;
