-- migrate:up

-- What a carrier says of an ICCID may come before its subscription, as records do.
create table kept_reports (
    iccid text not null,
    kind text not null,
    source text not null,
    report_id text not null,
    remaining_bytes bigint,
    expires_at timestamptz,
    said_at timestamptz not null,
    primary key (iccid, kind)
);

comment on table kept_reports is
'Of ICCIDs that belong to nobody yet: the newest balance, and the newest threshold and exhaustion that were notified. Heard, and gone, once the subscription is known; forgotten with the records of their day.';
comment on column kept_reports.kind is 'balance: a BalanceReported; threshold, exhausted: a ThresholdCrossed.';

create index kept_reports_by_time on kept_reports (said_at);

-- migrate:down
drop table kept_reports;
