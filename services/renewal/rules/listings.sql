-- name: list_rules
-- Every rule, as a whole, in the order of subscriptions: a page begins after the last one that was seen, '' is the first.
select r.*
from renewal_rules as r
where r.subscription_id > $1
order by r.subscription_id
limit $2;

-- name: list_every_mandate
-- All evidence of consent, in the order of its key: a page begins after the last one that was seen.
select
    subscription_id, mandate_id, payer_id, text_version, text_sha256, channel, given_at, language,
    max_amount_minor, currency, valid_until, recorded_by, recorded_at, revoked_at, revoked_by, revoked_why
from mandates
where (subscription_id, mandate_id) > ($1, $2)
order by subscription_id, mandate_id
limit $3;
