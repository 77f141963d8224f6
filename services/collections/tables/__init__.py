"""Tables that decisions depend on: consumers write them, from the events of other services."""
