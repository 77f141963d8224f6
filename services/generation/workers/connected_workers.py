"""The workers that are connected now, from their announcements: what they offer, and which attempts they are doing.

Every replica of this service listens, and keeps this in memory only: 15 s after a restart it is complete again. Times
are seconds of a clock that never goes back, since the clocks of workers may differ from this one.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from services.generation.domain.turns import Pool
from shared.contracts.work import ANNOUNCEMENT_SECONDS, Announcement, OfferedModel, kind_of_work

SILENT_SECONDS = 3 * ANNOUNCEMENT_SECONDS
"""A worker that has announced nothing for so long counts as gone."""
MAX_WORKERS = 2_000
"""Instances that are remembered; announcements of further ones are ignored."""
MAX_KINDS = 2_000
"""Kinds of work of which it is remembered when the last worker was gone."""
MAX_SIGHTINGS = 20_000
"""Attempts that are remembered; the one that was seen longest ago is forgotten first."""

GRAPHS = "comfy_workflow."
"""Beginning of the kinds of work for which models are needed."""

AttemptKey = tuple[UUID, int]
"""A step's sid and the number of the attempt."""


class ConnectedWorker(msgspec.Struct, frozen=True):
    """A worker's last announcement. `connected_at`: when its first one came; `seen_at`: when this one came."""

    announcement: Announcement
    connected_at: float
    seen_at: float

    @property
    def kinds(self) -> list[str]:
        """The kinds of work that it takes: `direct_job.sketch`."""
        return [kind_of_work(offered.type, offered.service) for offered in self.announcement.services]

    @property
    def lanes(self) -> int:
        """How many steps it does at once: its kinds share them."""
        return max((offered.lanes for offered in self.announcement.services), default=0)

    @property
    def has_free_lane(self) -> bool:
        return len(self.announcement.working) < self.lanes


class Sighting(msgspec.Struct, frozen=True):
    """An attempt that a worker was doing. `first`, `last`: when that was seen for the first and the last time."""

    first: float
    last: float
    instance: str


class ConnectedWorkers:
    """`note` adds an announcement; `start_listening` and `stop_listening` record whether announcements arrive at all.

    `now`: the event loop's time, in seconds.
    """

    def __init__(self) -> None:
        self._workers: dict[str, ConnectedWorker] = {}
        self._sightings: dict[AttemptKey, Sighting] = {}
        self._pools: list[Pool] | None = []
        """None: not computed since workers or their kinds have changed."""
        self._lanes: Counter[str] = Counter()
        """By kind, of all connected workers."""
        self._with_free_lane: defaultdict[str, set[str]] = defaultdict(set)
        """By kind: the connected workers of it that have a free lane."""
        self._free_lane_since: dict[str, float] = {}
        """By kind of `_with_free_lane`: since when there is such a worker."""
        self._left: dict[str, float] = {}
        """By kind that no connected worker takes any more: when the last worker of it disconnected."""
        self._listening_since: float | None = None

    def start_listening(self, now: float) -> None:
        """Announcements arrive from now on. Workers and attempts seen earlier count as seen now."""
        self._listening_since = now
        self._workers = {name: msgspec.structs.replace(worker, seen_at=now) for name, worker in self._workers.items()}
        self._sightings = {
            key: msgspec.structs.replace(sighting, last=now) for key, sighting in self._sightings.items()
        }
        self._free_lane_since = dict.fromkeys(self._free_lane_since, now)

    def stop_listening(self) -> None:
        """Announcements do not arrive: until `start_listening`, no worker counts as silent."""
        self._listening_since = None

    def note(self, announcement: Announcement, now: float) -> None:
        """Takes an announcement. One without services is a worker's last."""
        instance = announcement.instance
        previous = self._workers.get(instance)
        if not announcement.services and not announcement.working:
            self._put(instance, None, now)
        elif previous is not None or len(self._workers) < MAX_WORKERS:
            is_same = previous is not None and previous.announcement.started_at == announcement.started_at
            connected_at = previous.connected_at if previous is not None and is_same else now
            self._put(instance, ConnectedWorker(announcement, connected_at, now), now)
        for attempt in announcement.working:
            key = attempt.sid, attempt.attempt
            sighting = self._sightings.pop(key, None)
            self._sightings[key] = Sighting(now if sighting is None else sighting.first, now, instance)
        while len(self._sightings) > MAX_SIGHTINGS:
            del self._sightings[next(iter(self._sightings))]

    def _put(self, instance: str, worker: ConnectedWorker | None, now: float) -> None:
        """Replaces a worker, or removes it if `worker` is None, and updates the free lanes of its kinds."""
        before = self._workers.pop(instance, None)
        if worker is not None:
            self._workers[instance] = worker
        self._count_lanes(before, worker)
        for kind in before.kinds if before is not None else ():
            self._with_free_lane[kind].discard(instance)
        for kind in worker.kinds if worker is not None and worker.has_free_lane else ():
            self._with_free_lane[kind].add(instance)
            self._free_lane_since.setdefault(kind, now)
        for kind in before.kinds if before is not None else ():
            if not self._with_free_lane[kind]:
                del self._with_free_lane[kind]
                self._free_lane_since.pop(kind, None)
            if not self._lanes[kind]:
                del self._lanes[kind]
                self._note_left(kind, now)
        for kind in worker.kinds if worker is not None else ():
            self._left.pop(kind, None)

    def _count_lanes(self, before: ConnectedWorker | None, worker: ConnectedWorker | None) -> None:
        if _offer(before) != _offer(worker):
            self._pools = None
        for state, sign in ((before, -1), (worker, 1)):
            if state is not None:
                self._lanes.update(dict.fromkeys(state.kinds, sign * state.lanes))

    def _note_left(self, kind: str, now: float) -> None:
        self._left.pop(kind, None)
        self._left[kind] = now
        if len(self._left) > MAX_KINDS:
            del self._left[next(iter(self._left))]

    def all(self, now: float) -> list[ConnectedWorker]:
        """The connected workers, in the order in which they connected."""
        return sorted(self._present(now), key=lambda worker: (worker.connected_at, worker.announcement.instance))

    def drop_silent(self, now: float) -> None:
        """Removes workers that were silent for longer than SILENT_SECONDS, but none while no announcements arrive."""
        if self._listening_since is not None:
            for name in [name for name, worker in self._workers.items() if now - worker.seen_at > SILENT_SECONDS]:
                self._put(name, None, now)

    def _present(self, now: float) -> list[ConnectedWorker]:
        self.drop_silent(now)
        return list(self._workers.values())

    def is_complete(self, now: float) -> bool:
        """Whether every connected worker has announced itself: 1.2 intervals after `start_listening`.

        While it is not, no conclusion may be drawn from what is missing.
        """
        return self._listening_since is not None and now - self._listening_since > 1.2 * ANNOUNCEMENT_SECONDS

    def offered_kinds(self, now: float) -> frozenset[str] | None:
        """The kinds of work that connected workers take; None while that is not known (see `is_complete`)."""
        if not self.is_complete(now):
            return None
        return frozenset(kind for worker in self._present(now) for kind in worker.kinds)

    def left_at(self, kind: str) -> float | None:
        """When the last connected worker of a kind was gone; None if there is one, or none has been seen."""
        return self._left.get(kind)

    def lanes(self, kind: str) -> int:
        """How many steps of a kind can be done at once, by workers that do nothing else."""
        return self._lanes.get(kind, 0)

    def pools(self) -> list[Pool]:
        """The kinds that share workers, directly or over a third kind; without those whose workers do nothing else."""
        if self._pools is None:
            pools: list[Pool] = []
            for worker in self._workers.values():
                kinds, lanes, others = frozenset(worker.kinds), worker.lanes, []
                for pool in pools:
                    if pool.kinds.isdisjoint(kinds):
                        others.append(pool)
                    else:
                        kinds, lanes = kinds | pool.kinds, lanes + pool.lanes
                pools = [*others, Pool(kinds, lanes)]
            self._pools = [pool for pool in pools if len(pool.kinds) > 1]
        return self._pools

    def available_models(self, now: float) -> frozenset[OfferedModel] | None:
        """The models that the connected workers of graphs have announced.

        None before `is_complete`, if no such worker is connected, or if one of them does not list its models.
        """
        if not self.is_complete(now):
            return None
        workers = [worker for worker in self._present(now) if any(kind.startswith(GRAPHS) for kind in worker.kinds)]
        lists = [worker.announcement.models for worker in workers]
        if not lists or None in lists:
            return None
        return frozenset(model for models in lists for model in models or ())

    def sighting(self, key: AttemptKey) -> Sighting | None:
        """When a worker was seen doing an attempt; None if none was."""
        return self._sightings.get(key)

    def sightings(self) -> dict[AttemptKey, Sighting]:
        """All attempts that were seen and not forgotten."""
        return dict(self._sightings)

    def forget(self, keys: Iterable[AttemptKey]) -> None:
        """The attempts have ended."""
        for key in keys:
            self._sightings.pop(key, None)

    def free_lane_since(self, kind: str, now: float) -> float | None:
        """Since when a connected worker of the kind has had a free lane; None if none has one, or that is unknown."""
        self.drop_silent(now)
        return self._free_lane_since.get(kind) if self.is_complete(now) else None


def _offer(worker: ConnectedWorker | None) -> tuple[Sequence[str], int]:
    """What pools follow from."""
    return ((), 0) if worker is None else (worker.kinds, worker.lanes)
