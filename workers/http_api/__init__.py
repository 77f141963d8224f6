"""Runs the steps of fetch_api workflows: calls one HTTP API, whose answer has the outputs."""
