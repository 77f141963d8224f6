"""Clients of the file store."""
