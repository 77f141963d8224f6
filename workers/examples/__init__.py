"""Small workers to start from."""
