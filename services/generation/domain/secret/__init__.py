"""The secret aggregate: a name that requests of workflows may use. Its value is in a table, and in no event."""

from services.generation.domain.secret.commands import Command, DeleteSecret, SetSecret, decide
from services.generation.domain.secret.state import Secret, evolve, secret_id

__all__ = ["Command", "DeleteSecret", "Secret", "SetSecret", "decide", "evolve", "secret_id"]
