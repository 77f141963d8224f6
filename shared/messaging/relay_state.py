"""How far the active relay has published: in memory, and in a checkpoint that survives the process."""

import asyncio
from dataclasses import dataclass

from shared.eventstore import EventStore, UndecodedEvent
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.lease import Lease
from shared.messaging.outbox import BEGINNING, Place
from shared.messaging.refusals import NAME


def now() -> float:
    """The event loop's time, in seconds: all times of a relay are by this clock."""
    return asyncio.get_running_loop().time()


class RelayCheckpoint:
    """The position that the stream holds. It is read only by replicas that wait, and when retention emptied the stream.

    So it is written at most every `seconds`. Writing it raises Fenced when another process holds the `lease`.
    """

    def __init__(self, store: EventStore, seconds: float, lease: Lease | None) -> None:
        self._store, self._seconds, self._lease = store, seconds, lease
        self._written_at = 0.0
        self.position: int | None = None
        """The position that this process wrote last; None before the first time."""

    async def read(self) -> int:
        """The position that any process wrote last; 0 before the first time."""
        return await checkpoint(self._store, NAME)

    async def write(self, position: int) -> None:
        """Writes it if it has changed and the last writing is long enough ago; also a smaller one."""
        if self.position != position and now() - self._written_at > self._seconds:
            await set_checkpoint(self._store, NAME, position, self._lease, may_go_back=True)
            self._written_at, self.position = now(), position


@dataclass
class RelayState:
    """The state of a relay while this replica leads."""

    checkpoint: RelayCheckpoint
    place: Place = BEGINNING
    """The last event that the stream is known to hold."""
    succeeded_at: float = 0.0
    """When something was published last, or nothing was left to publish."""
    error: str | None = None
    """The error because of which nothing is published at the moment."""
    stuck_on: UndecodedEvent | None = None
    """The event that was not acknowledged."""
    acknowledges_each: bool = False
    """Whether each message asks for an acknowledgement, because something failed since the last complete batch."""
    went_back: bool = False
    """The store went back since stream and store were compared last."""

    def note_success(self) -> None:
        """Records that something was published, or that nothing is left to publish."""
        self.succeeded_at, self.error, self.stuck_on = now(), None, None

    def note_failure(self, error: Exception) -> None:
        """Records a failure: from now on each message is acknowledged, to find the one that the stream refuses."""
        self.error, self.acknowledges_each = str(error) or repr(error), True

    async def write_checkpoint(self) -> None:
        """See `RelayCheckpoint.write`."""
        await self.checkpoint.write(self.place.position)

    @property
    def is_checkpoint_written(self) -> bool:
        """Whether the checkpoint is at the last event that the stream is known to hold."""
        return self.checkpoint.position == self.place.position
