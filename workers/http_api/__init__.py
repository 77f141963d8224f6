"""Does the steps of fetch_api workflows: one HTTP API whose answer holds the outputs."""
