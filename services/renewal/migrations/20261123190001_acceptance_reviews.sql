-- migrate:up
alter table acceptance_entries
add constraint verdicts_are_known check (verdict in ('allow', 'review', 'refuse')) not valid;

create table acceptance_reviews (
    renewal_id uuid primary key,
    subscription_id text not null,
    caller text not null,
    request_id text not null,
    request_hash bytea not null,
    offering_id text not null,
    max_amount_minor bigint not null,
    currency text not null,
    payment_method_ids text not null,
    payer_id text,
    owner_id text not null,
    cycle integer not null,
    dunning_try integer,
    act_before timestamptz,
    traceparent text,
    is_told boolean not null,
    destination text,
    payer_country text,
    reviewed text not null,
    kinds text not null,
    opened_at timestamptz not null,
    deadline_at timestamptz not null,
    version integer not null,
    state text not null,
    ended_at timestamptz,
    reason text,
    detail text,
    constraint decided_ones_have_ended check ((ended_at is not null) = (state <> 'in_review'))
);

comment on table acceptance_reviews is
'What a person must decide: may this be paid so? A request waits here without a slot; a rule''s trigger waits among the kept ones and has its question here. What was decided is remembered for a while.';

create unique index acceptance_reviews_place on acceptance_reviews (subscription_id)
where ended_at is null and dunning_try is null;
comment on index acceptance_reviews_place is
'Of what people ask for one at a time per subscription; a rule has one per cycle and try by its id.';

create index acceptance_reviews_open on acceptance_reviews (opened_at, renewal_id) where ended_at is null;

create index acceptance_reviews_due on acceptance_reviews (deadline_at) where ended_at is null;

create index acceptance_reviews_ended on acceptance_reviews (ended_at) where ended_at is not null;

-- migrate:down
drop table acceptance_reviews;

alter table acceptance_entries drop constraint verdicts_are_known;
