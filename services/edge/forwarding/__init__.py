"""Requests on their way to services: routes, bounds, replicas, retries, and the response on its way back."""
