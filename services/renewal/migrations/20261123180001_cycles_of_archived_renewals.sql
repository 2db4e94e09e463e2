-- migrate:up

-- Archiving took the number of a subscription's last top-up along: a trigger of a cycle that was over, read again, would
-- have been charged. From now on it stays with the subscription; here for what was archived before.
update subscriptions as s
set top_ups = a.cycle
from (
    select
        subscription_id,
        max((renewal ->> 'top_up_cycle')::integer) as cycle
    from archived_renewals
    group by subscription_id
) as a
where s.subscription_id = a.subscription_id and s.top_ups < a.cycle;

-- migrate:down
-- Nothing to take back: the numbers are right.
