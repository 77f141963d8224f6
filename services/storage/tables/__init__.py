"""Tables that are not read tables: consumers and handlers write them, before an event counts as handled."""
