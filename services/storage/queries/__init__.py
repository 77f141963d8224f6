"""Queries: rows to answers, a module for each subject."""
