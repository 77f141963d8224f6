"""Commands: load, decide, append. On projects and collections, on what jobs make of them, and on publish packages."""
