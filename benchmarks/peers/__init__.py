"""The peers: programs that do the same in the plainest way."""
