"""Forwards requests to services: bounds, replicas, retries, time limits, and the response."""
