"""Handling events at least once, in order per stream and in parallel across streams.

Consumers (events of other services) and processes (events of the own store) share this package:

- `delivery`: one event that is to be handled, and the form in which it is parked.
- `in_flight`: the deliveries that are not settled yet, bounded by `window`, ordered by `lanes`.
- `delivery_handler`: settles a delivery: handles it (`attempts`, `retry`, `transient`) or parks it (`parking`).
- `operator_actions`: what operators do about parked events.
"""
