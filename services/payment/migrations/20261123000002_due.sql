-- migrate:up

-- A capture used to leave its lease standing; in a long outage of a carrier such rows kept the calls behind
-- them waiting. Now the capture clears it, and the top-up no longer has to: as many index entries as before.
update payments set due_at = null where operation is null and due_at is not null;

comment on column payments.due_at is
'When a worker may take the row: now, the end of a lease, or the end of a pause. Null where no call is under way.';

-- migrate:down
comment on column payments.due_at is
'When a worker may take the row: now, the end of a lease, or the end of a pause. Null: nothing to do.';
