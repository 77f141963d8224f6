"""Processes that do the work of steps. They know the worker protocol (shared/contracts/work.py), and no service."""
