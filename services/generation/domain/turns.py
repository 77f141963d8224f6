"""Whose step goes to the workers next, as a function of what waits and of what was sent and has not ended.

JetStream delivers the messages of a kind of work in the order in which they were sent, so fairness and priorities can
only come from sending few, late. Kinds that the same workers do are a pool: their steps share the lanes, and so the
turns. Of each pool, the next step is chosen in this order:

- The user with the fewest steps of the pool at workers is next, so that users have equal shares of the workers, however
  many jobs or generations each has.
- Of that user's jobs, the one with the highest score: its workflow's priority (0 to 100), less one for each of its
  steps at workers, plus one for each turn of this user's that another job took. So a higher priority goes first, jobs
  of one priority run side by side, and no job waits for more than about a hundred turns.
- Of a job's steps, the one that was ready first.

Steps of jobs and workflows that an operator has paused wait, and take no turn.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from uuid import UUID

import msgspec

StepKey = tuple[UUID, int]
"""A step's sid and the number of the attempt."""
Line = tuple[UUID, str]
"""A job and one of its workflows: their steps have one priority."""


class ReadyStep(msgspec.Struct, frozen=True):
    """An attempt that may be sent to a worker. `kind`: `direct_job.sketch`; `priority`: 0 to 100."""

    sid: UUID
    attempt: int
    gid: UUID
    job_id: UUID
    user_id: UUID
    kind: str
    workflow: str
    priority: int = 50

    @property
    def key(self) -> StepKey:
        return self.sid, self.attempt

    @property
    def line(self) -> Line:
        return self.job_id, self.workflow


class Pool(msgspec.Struct, frozen=True):
    """Kinds of which some worker does two or more. `lanes`: how many steps their workers do at once."""

    kinds: frozenset[str]
    lanes: int


class Limits(msgspec.Struct, frozen=True):
    """How many steps may be at workers at the same time, or queued for them: of a user, and of workflows by name."""

    per_user: int | None = None
    per_workflow: Mapping[str, int] = {}


class Turns:
    """The steps that wait for their turn, and those that were sent and have not ended.

    `paused`: the jobs, and the workflows by name, of which no step has a turn. Its owner may change it at any time.
    """

    def __init__(self, limits: Limits | None = None, paused: AbstractSet[UUID | str] = frozenset()) -> None:
        self._limits, self._paused = limits or Limits(), paused
        self._waiting: dict[StepKey, ReadyStep] = {}
        self._sent: dict[StepKey, ReadyStep] = {}
        self._lines: defaultdict[str, defaultdict[UUID, dict[Line, deque[ReadyStep]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        """By kind, user, and line. Steps that no longer wait are dropped when they come to the front."""
        self._at_workers: Counter[object] = Counter()
        """Steps that were sent and have not ended, by kind, user, (kind, user), job, and ("workflow", name)."""
        self._turns: Counter[tuple[str, UUID]] = Counter()
        """How many turns each user had, by kind."""
        self._served: dict[tuple[str, UUID, Line], int] = {}
        """The number of its user's turn in which a line was served last, or began to wait."""
        self._last_turn: dict[tuple[str, UUID], int] = {}
        self._turn = 0

    def __contains__(self, key: StepKey) -> bool:
        return key in self._waiting or key in self._sent

    def keys(self) -> list[StepKey]:
        """The steps that wait and those that were sent."""
        return [*self._waiting, *self._sent]

    def sent(self) -> list[ReadyStep]:
        """The steps that were sent and have not ended."""
        return list(self._sent.values())

    def at_workers(self, kind: str) -> int:
        """How many steps of a kind were sent and have not ended."""
        return self._at_workers[kind]

    def is_paused(self, line: Line) -> bool:
        return not self._paused.isdisjoint(line)

    @property
    def waiting(self) -> int:
        """How many steps wait for their turn."""
        return len(self._waiting)

    def add(self, step: ReadyStep) -> None:
        """A step waits for its turn, behind those of its line. Nothing if it waits already, or was sent."""
        if step.key in self:
            return
        self._waiting[step.key] = step
        lines = self._lines[step.kind][step.user_id]
        if step.line not in lines:
            lines[step.line] = deque()
            self._served.setdefault((step.kind, *_of(step)), self._turns[step.kind, step.user_id])
        lines[step.line].append(step)

    def note_sent(self, step: ReadyStep) -> None:
        """A step was sent, perhaps by an earlier leader."""
        self._waiting.pop(step.key, None)
        if step.key not in self._sent:
            self._sent[step.key] = step
            self._count(step, 1)

    def put_back(self, key: StepKey) -> None:
        """A step could not be sent: it waits again, before the others of its line."""
        step = self._sent.pop(key, None)
        if step is not None:
            self._count(step, -1)
            self._waiting[key] = step
            self._lines[step.kind][step.user_id].setdefault(step.line, deque()).appendleft(step)

    def end(self, key: StepKey) -> ReadyStep | None:
        """The attempt has ended, or must not be sent any more. Returns it if it was sent."""
        self._waiting.pop(key, None)
        step = self._sent.pop(key, None)
        if step is not None:
            self._count(step, -1)
        return step

    def next(self, room: Callable[[str], int], pools: Iterable[tuple[AbstractSet[str], int]] = ()) -> list[ReadyStep]:
        """The steps to send now, in this order, which count as sent.

        `room`: how many of a kind may be sent. `pools`: kinds that share workers, and how many of them together may be
        sent. A kind in no pool has its workers to itself.
        """
        chosen: list[ReadyStep] = []
        pooled: set[str] = set()
        for kinds, most in pools:
            pooled |= kinds
            chosen += self._next_of(kinds, most, room)
        for kind in [kind for kind in self._lines if kind not in pooled]:
            chosen += self._next_of({kind}, room(kind), room)
        for kind in [kind for kind, users in self._lines.items() if not users]:
            del self._lines[kind]
        return chosen

    def _next_of(self, pool: AbstractSet[str], most: int, room: Callable[[str], int]) -> list[ReadyStep]:
        room_by_kind = {kind: room(kind) for kind in self._lines if kind in pool}
        chosen: list[ReadyStep] = []
        while len(chosen) < most:
            step = self._choose([kind for kind, left in room_by_kind.items() if left > 0], pool)
            if step is None:
                break
            room_by_kind[step.kind] -= 1
            self.note_sent(step)
            chosen.append(step)
        return chosen

    def _choose(self, kinds: Sequence[str], pool: AbstractSet[str]) -> ReadyStep | None:
        for user in sorted({user for kind in kinds for user in self._lines[kind]}, key=partial(self._standing, pool)):
            if self._limits.per_user is not None and self._at_workers[user] >= self._limits.per_user:
                continue
            lines = [(kind, *entry) for kind in kinds for entry in self._waiting_lines(kind, user)]
            if lines:
                kind, line, steps = max(lines, key=lambda entry: self._score(entry[0], user, entry[1], entry[2]))
                self._take_turn(pool, kind, user, line)
                return steps.popleft()
        return None

    def _standing(self, pool: AbstractSet[str], user: UUID) -> tuple[int, int]:
        """The user with the lowest one is next: how many steps are at workers, and when the last turn was."""
        return (
            sum(self._at_workers[kind, user] for kind in pool),
            max((self._last_turn.get((kind, user), 0) for kind in pool), default=0),
        )

    def _waiting_lines(self, kind: str, user: UUID) -> list[tuple[Line, deque[ReadyStep]]]:
        """A user's lines with a step that may be sent. Drops those that have become empty."""
        lines = self._lines[kind].get(user, {})
        for line, steps in list(lines.items()):
            while steps and self._waiting.get(steps[0].key) is not steps[0]:
                steps.popleft()
            if not steps:
                del lines[line]
                self._served.pop((kind, user, line), None)
        if not lines:
            self._lines[kind].pop(user, None)
            self._last_turn.pop((kind, user), None)
            self._turns.pop((kind, user), None)
            return []
        return [entry for entry in lines.items() if self._may_run(entry[0])]

    def _may_run(self, line: Line) -> bool:
        if self.is_paused(line):
            return False
        workflow = line[1]
        limit = self._limits.per_workflow.get(workflow)
        return limit is None or self._at_workers["workflow", workflow] < limit

    def _score(self, kind: str, user: UUID, line: Line, steps: deque[ReadyStep]) -> int:
        turns = self._turns[kind, user] - self._served.get((kind, user, line), 0)
        return steps[0].priority + turns - self._at_workers[line[0]]

    def _take_turn(self, pool: AbstractSet[str], kind: str, user: UUID, line: Line) -> None:
        self._turn += 1
        self._last_turn[kind, user] = self._turn
        for waiting in pool:
            if waiting in self._lines and user in self._lines[waiting]:
                self._turns[waiting, user] += 1
        self._served[kind, user, line] = self._turns[kind, user]

    def _count(self, step: ReadyStep, change: int) -> None:
        for key in _counted(step):
            self._at_workers[key] += change
            if not self._at_workers[key]:
                del self._at_workers[key]


def _of(step: ReadyStep) -> tuple[UUID, Line]:
    return step.user_id, step.line


def _counted(step: ReadyStep) -> Iterator[object]:
    yield from (step.kind, step.user_id, (step.kind, step.user_id), step.job_id, ("workflow", step.workflow))


def queue_length(lanes: int, rate: float) -> int:
    """How many steps of a kind, or of a pool, may be at workers or queued for them.

    As many as are done at once, and those that workers finish while the next ones are on their way: SENT_AHEAD seconds
    at the present rate (per second). `lanes`: of all connected workers of the kind; 0 if none has announced itself.
    """
    running = lanes or UNKNOWN_LANES
    return min(running + max(LEAST_AHEAD, running // 2, round(rate * SENT_AHEAD)), max(2 * running, MAX_QUEUED))


UNKNOWN_LANES = 8
"""Assumed of workers that do not announce themselves; also what is queued for a kind that no worker takes yet."""
LEAST_AHEAD = 2
SENT_AHEAD = 0.06
"""Seconds: a few times what passes between a worker's result and the next message to it."""
MAX_QUEUED = 64
