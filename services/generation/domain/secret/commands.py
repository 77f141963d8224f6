"""Commands on a secret, which name its value by number only."""

import re
from collections.abc import Sequence
from typing import assert_never

import msgspec

from services.generation.domain.secret.state import Secret, secret_id
from shared.contracts.event import Event
from shared.contracts.generation import SecretDeleted, SecretSet
from shared.contracts.problem import Detail, Problem, invalid

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
MIN_VALUE, MAX_VALUE = 8, 8192
"""Characters. A shorter value could not be cut out of an API's answer without cutting other words."""


class SetSecret(msgspec.Struct, frozen=True):
    """`number`: under which the value is stored; the one after the newest."""

    name: str
    number: int
    actor: str


class DeleteSecret(msgspec.Struct, frozen=True):
    name: str
    actor: str


Command = SetSecret | DeleteSecret


def decide(command: Command, state: Secret) -> Sequence[Event]:
    """Raises Problem: CONFLICT if another value was set meanwhile, NOT_FOUND for a secret that is not set."""
    match command:
        case SetSecret():
            if command.number != state.number + 1:
                raise Problem(
                    "CONFLICT", f"The secret {command.name} was set by another request meanwhile: set it again"
                )
            return [SecretSet(secret_id(command.name), command.name, command.number, command.actor)]
        case DeleteSecret():
            if not state.is_set:
                raise Problem("NOT_FOUND", f"There is no secret {command.name}")
            return [SecretDeleted(secret_id(command.name), command.name, command.actor)]
    assert_never(command)


def check_secret(name: str, value: str) -> None:
    """Raises VALIDATION_FAILED. The message does not have the value."""
    if not NAME.fullmatch(name):
        message = "must be letters, digits and _, not begin with a digit, and have at most 100 characters"
        raise invalid(f"The name of a secret {message}", Detail("/name", message))
    if not MIN_VALUE <= len(value) <= MAX_VALUE:
        message = f"must have {MIN_VALUE} to {MAX_VALUE} characters, not {len(value)}"
        raise invalid(f"The value of a secret {message}", Detail("/value", message))
    if not value.isprintable():
        message = "must have no control characters and no line breaks, since it is sent in headers"
        raise invalid(f"The value of a secret {message}", Detail("/value", message))
