-- migrate:up

-- Which subscriptions are live. No row: all are.
create table cut_overs (
    version integer primary key,
    percent integer not null,
    shares json not null,
    live integer not null,
    shadow integer not null,
    why text not null,
    set_by text not null,
    set_at timestamptz not null
);

comment on table cut_overs is
'Every setting of the cut-over, the highest version in force; live and shadow count the subscriptions that it named.';

create table cut_over_lists (
    subscription_id text primary key,
    live boolean not null
);

comment on table cut_over_lists is
'Subscriptions that the cut-over in force names: live whatever the percentage, or in shadow.';

alter table renewal_decisions
add column shadow boolean not null default false,
add column terms json;

comment on column renewal_decisions.shadow is
'Decided for a subscription that was not live: nothing was begun, kept, said or charged, and never will be for this trigger.';

comment on column renewal_decisions.terms is
'What would have been renewed, where it was decided in shadow: offering, maximum, currency, first payment method.';

-- migrate:down
alter table renewal_decisions
drop column terms,
drop column shadow;

drop table cut_over_lists;

drop table cut_overs;
