"""All commands of a generation, and which function decides each."""

from collections.abc import Sequence
from typing import assert_never

from services.generation.domain.generation.cancel import Cancel, cancel
from services.generation.domain.generation.checkpoint import TakeCheckpoint, take_checkpoint
from services.generation.domain.generation.result import TakeResult, take_result
from services.generation.domain.generation.start import Start, start
from services.generation.domain.generation.state import Generation
from shared.contracts.event import Event

Command = Start | TakeResult | TakeCheckpoint | Cancel


def decide(command: Command, state: Generation) -> Sequence[Event]:
    """No events if the command has been carried out already."""
    match command:
        case Start():
            return start(command, state)
        case TakeResult():
            return take_result(command, state)
        case TakeCheckpoint():
            return take_checkpoint(command, state)
        case Cancel():
            return cancel(command, state)
    assert_never(command)
