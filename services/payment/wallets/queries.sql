-- Statements about wallets.

-- name: open_wallets
-- Opens wallets with nothing in them; one that is open stays as it is.
insert into wallets (payer_id, currency)
select * from unnest($1::text[], $2::text[])
order by 1, 2
on conflict (payer_id, currency) do nothing;

-- name: read_wallet
-- One wallet's balance.
select balance_minor from wallets where payer_id = $1 and currency = $2;

-- name: read_deposit
-- The deposit that was made under a key, to answer a repeat.
select request_hash, balance_minor from wallet_deposits where caller = $1 and idempotency_key = $2;

-- name: deposit
-- Money paid in: balance, ledger line and the key's memory together. Returns nothing where there is no wallet.
with paid as (
    update wallets
    set balance_minor = balance_minor + $6
    where payer_id = $4 and currency = $5
    returning balance_minor
),

remembered as (
    insert into wallet_deposits (
        caller, idempotency_key, request_hash, payer_id, currency, amount_minor, balance_minor
    )
    select $1, $2, $3, $4, $5, $6, balance_minor from paid
),

entered as (
    insert into ledger_transfers (id, kind, debit_account, credit_account, amount_minor, currency)
    select $7, 'deposit', $8, $9, $6, $5 from paid
)

select balance_minor from paid;
