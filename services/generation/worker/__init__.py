"""The worker process of the built-in workflows; it speaks the protocol that any external worker speaks."""
