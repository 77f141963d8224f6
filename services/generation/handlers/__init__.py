"""Commands: load, decide, append; and what a request waits for after that."""
