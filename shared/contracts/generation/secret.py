"""Events of a secret: a value that requests of workflows name, `{{NAME}}`. The value itself is in no event."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.event import Event


class SecretEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "secret"


class SecretSet(SecretEvent, frozen=True, tag="secret_set.v1"):
    """An operator set a secret's value, or replaced it."""

    secret_id: UUID
    name: str
    number: int
    """The number of this value among those of the secret, from 1."""
    actor: str


class SecretDeleted(SecretEvent, frozen=True, tag="secret_deleted.v1"):
    """An operator deleted a secret: steps that need it fail with `SECRET_MISSING`."""

    secret_id: UUID
    name: str
    actor: str
