"""A secret's state, folded from its events. Its id is derived from its name."""

from uuid import UUID, uuid5

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import SecretDeleted, SecretSet

NAMESPACE = UUID("b1c6a3c2-70e2-4f7e-8a51-6f6f0f2b9d13")


def secret_id(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


class Secret(msgspec.Struct, frozen=True):
    """`number`: of the newest value, counting from 1 and never used twice; 0: it was never set."""

    name: str = ""
    number: int = 0
    is_set: bool = False


def evolve(state: Secret, event: Event) -> Secret:
    match event:
        case SecretSet():
            return Secret(event.name, event.number, is_set=True)
        case SecretDeleted():
            return Secret(event.name, state.number, is_set=False)
    raise AssertionError(f"{event!r} is not an event of a secret")
