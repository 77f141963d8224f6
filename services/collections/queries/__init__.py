"""Queries: lists from the read tables; single collections and packages from their state."""
