-- migrate:up

alter table payments add column refund_reference text;

comment on column payments.refund_reference is
'The refund at the PSP that gave the capture back. The failure of another one is no news about this money.';

-- migrate:down
alter table payments drop column refund_reference;
