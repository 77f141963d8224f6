"""How the service reaches workers: the connection to NATS, what workers announce, and grants for their uploads."""
