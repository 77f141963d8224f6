"""How long tests wait for what must come."""

PATIENCE = 100.0
"""Seconds. What is waited for takes a fraction of one, or some on a machine that is busy with fifty other things. The
bound only ends a test that would wait for ever, below pytest's own timeout, so that the test can say for what.
"""
