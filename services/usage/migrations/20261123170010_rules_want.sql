-- migrate:up

-- Without a default: no row is rewritten, and what an older version's processes read stays as it is.
alter table balances
add column rule_version integer,
add column rule_wants text;

comment on column balances.rule_wants is
'When the subscription''s renewal rule wants to hear that its data runs out: percent, bytes, predicted and expiring seconds, each or nothing between commas. Null: the carrier''s settings hold.';

-- migrate:down
alter table balances drop column rule_wants, drop column rule_version;
