-- migrate:up

-- What a card's network never wants to see again is remembered among its declines: no version of this service has to
-- be told of another column, and whatever hands declines on to the card's other names hands this on as well.
comment on column payment_methods.declined_at is
'When the card was declined, newest first, as often as any network''s cap asks about; the same for all its methods. Before them 9999-01-01, where its network said never to try it again.';

-- migrate:down
comment on column payment_methods.declined_at is
'When the card was declined, newest first, as often as any network''s cap asks about; the same for all its methods.';
