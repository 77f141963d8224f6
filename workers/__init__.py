"""Processes that run steps. They depend on the worker protocol (shared/contracts/work.py), and on no service."""
