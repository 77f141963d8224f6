"""What routes, handlers and processes read: rows of the read tables, and states and events of streams."""
