"""Sends steps to workers when it is their turn, and finds attempts that are lost."""
