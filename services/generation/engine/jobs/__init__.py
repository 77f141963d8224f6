"""Starts, ends and stops the generations of jobs."""
