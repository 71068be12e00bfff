"""The life of tokens in virtual time: thousands of real engines, one clock, and everything that can go wrong.

    hub         the heap of events, and greenlets that sleep in it
    servers     the authorization server, with its faults, and the resource behind it
    storage     the shared store, with its faults, and the link of one process to it
    fleet       machines, their clocks, and workers: each process has an engine of its own
    naive       the client to compare with
    weather     which faults come when, from a seed
    watch       what happened: counted, hashed, and held against the invariants
    invariants  what must never happen, and the exceptions
    sabotage    ways to break it, each of which an invariant must notice
    scenarios   which fleet, in which weather
    run         all of it together; report: what came of it; plot: the picture in the docs

The engine is the real one and runs unchanged. Only its edges are not real: time, chance, the network and the store.
"""
