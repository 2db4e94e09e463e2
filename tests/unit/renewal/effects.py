"""What every cell with a rule does, written down a second time: (message) effect <- states.

The effect is the state it goes to (or `stays`), `alarm` where a promise is broken, and what it says.
`?` marks states in which it does so only where less is known: no price, no capture, another reason.
`!` marks states in which it does so only where a person has to look into it: test_cases.py.
Read it beside the design's table; a change of the matrix that does not show here is a mistake.
"""

EFFECTS = """
RenewalPriced
    priced <- requested
    stays <- awaiting_customer? cancelling_payment? parked?
RenewalRejected
    cancelling_payment CancelPayment <- requested
PaymentCaptured
    captured <- requested priced awaiting_customer
    cancelling_top_up CancelTopUp <- cancelling_payment
    stays <- cancelling_top_up? parked? completed? refunded?
    stays alarm <- failed cancelled
PaymentDeclined
    stays <- requested
    stays CapturePayment <- priced
    priced CapturePayment <- awaiting_customer
PaymentAttemptFailed
    stays <- requested priced
PaymentActionRequired
    awaiting_customer CustomerActionRequired <- requested priced
PaymentCancelled
    failed RenewalFailed <- requested priced awaiting_customer
    stays alarm <- captured cancelling_top_up refunding parked completed refunded
    cancelled RenewalCancelled <- cancelling_payment
    stays <- failed! cancelled!
PaymentRefunded
    cancelling_top_up CancelTopUp <- requested priced captured awaiting_customer cancelling_payment
    stays <- cancelling_top_up completed
    refunded RenewalRefunded <- refunding parked
    stays alarm <- failed cancelled
RefundAttemptFailed
    stays <- refunding
RefundRejected
    parked RenewalParked <- refunding
    stays alarm <- refunded parked
SurplusRefunded
    stays <- every
PaymentDisputed
    stays <- every
TopUpApplied
    completed RenewalCompleted <- requested priced captured awaiting_customer
    completed RenewalCompleted <- cancelling_payment cancelling_top_up parked
    stays <- completed
    stays alarm <- refunding refunded failed cancelled
TopUpRejected
    stays <- requested priced awaiting_customer cancelling_payment
    refunding RefundPayment <- captured cancelling_top_up parked
    stays alarm <- completed
TopUpCancelled
    stays <- requested priced awaiting_customer cancelling_payment
    refunding RefundPayment <- captured cancelling_top_up parked
    stays alarm <- completed
TopUpAttemptFailed
    stays <- captured
TopUpUndetermined
    stays <- requested priced awaiting_customer cancelling_payment
    parked RenewalParked <- captured cancelling_top_up
Silence
    stays RenewalRequested <- requested
    stays CapturePayment <- priced
    stays ApplyTopUp <- captured
    stays CancelPayment <- cancelling_payment
    stays CancelTopUp <- cancelling_top_up
    stays RefundPayment <- refunding
Deadline
    cancelling_payment CancelPayment <- requested priced awaiting_customer
    cancelling_top_up CancelTopUp <- captured
DelayPromise
    stays RenewalDelayed <- requested priced captured cancelling_payment cancelling_top_up refunding parked
RetryDue
    stays RenewalRequested <- requested
    stays CapturePayment <- priced
    stays ApplyTopUp <- captured
    stays RefundPayment <- refunding
CustomerCancels
    cancelling_payment CancelPayment <- requested priced awaiting_customer
    cancelling_top_up CancelTopUp <- captured
    stays <- cancelling_payment? parked
CustomerRetries
    priced CapturePayment <- awaiting_customer
OperatorRetries
    stays RenewalRequested <- requested
    stays CapturePayment <- priced
    stays ApplyTopUp <- captured
    stays CancelPayment <- cancelling_payment
    stays CancelTopUp <- cancelling_top_up
    stays RefundPayment <- refunding
    cancelling_payment CancelPayment <- parked?
OperatorCancels
    cancelling_payment CancelPayment <- requested priced awaiting_customer parked?
    stays <- cancelling_payment?
OperatorRefunds
    cancelling_top_up CancelTopUp <- captured parked
    stays <- cancelling_payment?
OperatorResolves
    stays ResolveTopUp <- parked
    stays ResolvePayment <- failed! cancelled!
OperatorReleases
    refunded ResolveTopUp RenewalRefunded <- parked
    stays <- completed! refunded! failed! cancelled!
"""
