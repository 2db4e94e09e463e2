-- migrate:up

-- A record finds its balance by one index instead of two. Processes of the version before would give an ICCID to another
-- subscription without taking it from the one before: usage is stopped meanwhile (docs/adr/0012).
-- squawk-ignore-file
alter table balances add column iccid text;

comment on column balances.iccid is
'The ICCID in use, or null: never one that `iccids` says is another subscription''s. Those it replaced are found there.';

update balances as b
set iccid = i.iccid
from (
    select distinct on (subscription_id) subscription_id, iccid
    from iccids
    order by subscription_id, changed_at desc, iccid
) as i
where i.subscription_id = b.subscription_id;

create index balances_by_iccid on balances (iccid);

-- migrate:down
drop index balances_by_iccid;

alter table balances drop column iccid;
