"""Proof by exhaustion: every way that one renewal can go, within stated bounds, breaks no promise.

A breadth-first search over the composed machines of renewal, payment and provisioning, moved by the very
functions that production runs, with our understanding of a PSP and of a carrier, and a network between them
that keeps no order: `python -m tests.exhaustive`, or `make exhaustive`.

    choices.py      a step is ordinary code that asks; it is run again for every answer
    abstraction.py  what of a value matters: instants and reasons
    case.py         one renewal and who it meets; cases.py: those that are explored
    line.py         what happens to a request between us and an outside system
    psp.py, carrier.py                        the outside systems, as we understand them
    payment.py, provisioning.py               each side of the network as a value
    payment_steps.py, provisioning_steps.py   what it does, by production's functions
    saga.py, letters.py                       the saga and catalog; the letters between all
    parts.py, world.py                        the state of the world, and what can follow it
    promises.py, search.py                    what must hold; and whether it does
    defects.py      deliberate defects, each of which must be found

What is left out, and why what remains is enough:

- Time is a step, not a number: any deadline, pause or lease may run out at any moment, in any order. That
  is more than can happen, so what holds here holds on any clock. Three orders are kept because a promise
  rests on them: a lease outlasts the call made under it; "not found" is believed only when every timely
  request has arrived and can be seen; what happens days later (a refund comes back, a dispute) finds its
  cause written down.
- Of counters that only tell rows apart (versions, claims) it is kept whether two are equal; of reasons what
  some rule reads.
- One renewal. Renewals share locks, limits and budgets, but no decision; batches fold in the order in which
  single letters would be read.
- Budgets are the smallest with which every rule acts: two tries per step, one question into silence.
- A deviation is whatever should not happen. A case bounds how many are on one path, and says which kinds
  there are and which of them are free. A letter lost is one that never arrives: silence says the same again.
- A pause between a worker's last look at the clock and its write is tried only where keys are honoured and
  cancelling cancels: elsewhere it is the risk that DESIGN states.
- Storage is right: what is committed stays, and one row has one lock. Other layers prove that.
"""
