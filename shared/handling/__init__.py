"""Handling events reliably: what consumers of other services' events and processes over own events have in common.

Lanes and a window bound what is handled at once; failures are retried, then parked until an operator decides.
"""
