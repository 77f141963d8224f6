"""Scheduled steps wait here until it is their turn; the work queue has only as many as keep the workers busy.

The leader keeps them in memory, and writes nothing. A new leader reads the table of open steps and the work queue, and
sends each open step again whose message is not in the queue.

Over 300 lines: sending and comparing share the state that only one replica has.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import structlog

from services.generation.domain.generation import ready_at
from services.generation.domain.generation.steps import LONGEST_RETRY_DELAY
from services.generation.domain.turns import Limits, ReadyStep, StepKey, Turns, queue_length
from services.generation.engine.dispatch.dispatcher import Dispatcher
from services.generation.engine.dispatch.pauses import Pauses
from services.generation.engine.dispatch.queued_messages import oldest_message, queued_attempts
from services.generation.handlers.commands import CommandHandlers, NoSuchStep
from services.generation.processes.dispatch_steps import ENDS, EVENTS, NAME, UNSENDABLE, ready_step
from services.generation.processes.resend_steps import lost_before
from services.generation.projections.open_steps import OPEN_STEPS, OpenSteps
from services.generation.workers.broker import Broker, raise_if_stopped
from services.generation.workers.connected_workers import ConnectedWorkers
from shared.backoff import Backoff
from shared.contracts.generation import StepCompleted, StepFailed, StepScheduled
from shared.eventstore import RecordedEvent
from shared.handling.transient import is_transient
from shared.processes import Process
from shared.stopping import Group

ROOM_CHECK_SECONDS = 1.0
"""Seconds between two checks for room in the work queue while steps wait: workers come and go without an event."""
RECONCILE_EVERY = 5.0
"""Seconds between two comparisons with the work queue and the table; less if `missing_after` is small."""
RATE_SECONDS = 1.0
"""The time over which the rate of results is measured."""
TABLE_WAIT = 10.0
"""Seconds for which a new leader waits for the table of open steps. A later comparison adds what was missing."""
SEND_AGAIN = 0.5
"""Seconds after a transient error, before the step is sent again."""
MAX_ROWS = 1000
MAX_EVENT_BYTES = 32 * 1024 * 1024
"""Of the waiting steps' events in memory; events beyond it are read again when it is their step's turn."""

log = structlog.get_logger()


class Scheduled(msgspec.Struct, frozen=True):
    """A step that waits, is delayed, or was sent. `version`: of its event in the generation's stream.

    `recorded`: the event, if there was room for it; None once it was sent.
    """

    step: ReadyStep
    version: int
    recorded: RecordedEvent | None


class DispatchQueue:
    """`missing_after`: see the settings. `limits`: see `Turns`."""

    def __init__(
        self,
        handlers: CommandHandlers,
        broker: Broker,
        dispatcher: Dispatcher,
        workers: ConnectedWorkers,
        missing_after: timedelta,
        limits: Limits | None = None,
    ) -> None:
        self._handlers, self._broker, self._dispatcher, self._workers = handlers, broker, dispatcher, workers
        self._missing_after, self._limits = missing_after, limits
        self._open_steps = OpenSteps(handlers.store)
        self._pauses = Pauses(handlers.store)
        self._changed = asyncio.Event()
        self.resent = 0
        self._forget()

    def _forget(self) -> None:
        self._pauses.forget()
        self._turns = Turns(self._limits, self._pauses.paused)
        self._scheduled: dict[StepKey, Scheduled] = {}
        self._of_generation: defaultdict[UUID, set[StepKey]] = defaultdict(set)
        self._event_bytes = 0
        self._due: dict[StepKey, datetime] = {}
        """Retries whose backoff has not ended: when it does."""
        self._sent_at: dict[StepKey, datetime] = {}
        """When each step was sent that has not ended; also of messages in the queue whose steps are not known yet."""
        self._ends: defaultdict[str, deque[float]] = defaultdict(deque)
        """By kind: when the latest attempts ended."""

    @property
    def waiting(self) -> int:
        """Steps that wait for their turn."""
        return self._turns.waiting

    def process(self) -> Process:
        return Process(
            NAME, EVENTS, self.react, note=self.note, begin=self.begin, beside=(self.run,), lost=self._broker.lost
        )

    async def begin(self) -> None:
        """Drops what an earlier lease has left in memory."""
        self._forget()

    def note(self, recorded: RecordedEvent) -> bool:
        """Takes an event unless it is the first of its job or workflow, whose pauses must be read."""
        event = recorded.event
        if isinstance(event, StepScheduled) and not self._pauses.knows(event.job_id, event.workflow):
            return False
        self._take(recorded)
        return True

    async def react(self, recorded: RecordedEvent) -> None:
        if isinstance(event := recorded.event, StepScheduled):
            await self._pauses.learn(event.job_id, event.workflow)
        self._take(recorded)

    def _take(self, recorded: RecordedEvent) -> None:
        match recorded.event:
            case StepScheduled():
                self._add(recorded)
            case StepCompleted(sid=sid, attempt=attempt) | StepFailed(sid=sid, attempt=attempt):
                self._end((sid, attempt))
            case event if isinstance(event, ENDS):
                for key in list(self._of_generation.get(event.gid, ())):
                    self._end(key)
            case event:
                self._pauses.note(event)
        self._changed.set()

    def _add(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, StepScheduled)
        step = ready_step(event)
        if step.key in self._scheduled:
            return
        size = len(recorded.data)
        is_kept = self._event_bytes + size <= MAX_EVENT_BYTES
        self._event_bytes += size if is_kept else 0
        self._scheduled[step.key] = Scheduled(step, recorded.version, recorded if is_kept else None)
        self._of_generation[step.gid].add(step.key)
        due = ready_at(event, recorded.recorded_at)
        if step.key in self._sent_at:
            self._turns.note_sent(step)
            self._drop_event(step.key)
        elif due > self._handlers.clock():
            self._due[step.key] = due
        else:
            self._turns.add(step)

    def _end(self, key: StepKey) -> None:
        """The attempt has ended, or is not to be sent any more."""
        self._drop_event(key)
        scheduled = self._scheduled.pop(key, None)
        self._due.pop(key, None)
        self._sent_at.pop(key, None)
        if scheduled is not None:
            keys = self._of_generation[scheduled.step.gid]
            keys.discard(key)
            if not keys:
                del self._of_generation[scheduled.step.gid]
        if (step := self._turns.end(key)) is not None:
            self._ends[step.kind].append(asyncio.get_running_loop().time())

    def _drop_event(self, key: StepKey) -> None:
        scheduled = self._scheduled.get(key)
        if scheduled is not None and scheduled.recorded is not None:
            self._event_bytes -= len(scheduled.recorded.data)
            self._scheduled[key] = msgspec.structs.replace(scheduled, recorded=None)

    async def run(self) -> None:
        """Sends steps when it is their turn, until cancelled."""
        await Backoff(NAME, on=is_transient).call(self._recover)
        async with Group() as group:
            group.create_task(self._reconcile_all())
            while True:
                self._changed.clear()
                now = self._handlers.clock()
                self._release_due(now)
                for step in self._turns.next(self._room, self._pools()):
                    self._sent_at[step.key] = now
                    group.create_task(self._send(step))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause(now)):
                        await self._changed.wait()

    def _release_due(self, now: datetime) -> None:
        for key in [key for key, due in self._due.items() if due <= now]:
            del self._due[key]
            self._turns.add(self._scheduled[key].step)

    def _pause(self, now: datetime) -> float | None:
        """Seconds until something may be sent though no event came; None if nothing waits."""
        pauses = [ROOM_CHECK_SECONDS] if self._turns.waiting else []
        pauses += [max(0.0, (min(self._due.values()) - now).total_seconds())] if self._due else []
        return min(pauses, default=None)

    def _room(self, kind: str) -> int:
        return queue_length(self._workers.lanes(kind), self._rate(kind)) - self._turns.at_workers(kind)

    def _pools(self) -> list[tuple[frozenset[str], int]]:
        """The kinds that share workers, and how many steps of them together may be sent."""
        return [
            (
                pool.kinds,
                queue_length(pool.lanes, sum(map(self._rate, pool.kinds)))
                - sum(map(self._turns.at_workers, pool.kinds)),
            )
            for pool in self._workers.pools()
        ]

    def _rate(self, kind: str) -> float:
        """Attempts of a kind that ended lately, per second."""
        now, ends = asyncio.get_running_loop().time(), self._ends[kind]
        while ends and ends[0] < now - RATE_SECONDS:
            ends.popleft()
        return len(ends) / RATE_SECONDS

    async def _send(self, step: ReadyStep) -> None:
        """Sends a step. After a transient error it waits for its turn again; any other error fails the attempt."""
        scheduled = self._scheduled.get(step.key)
        if scheduled is None:
            return  # it has ended meanwhile
        try:
            await self._dispatcher.send(scheduled.recorded or await self._read(step.gid, scheduled.version))
        except Exception as error:
            raise_if_stopped()
            if not is_transient(error):
                log.exception("step_can_not_be_sent", sid=str(step.sid), attempt=step.attempt)
                await self._fail(step)
                return
            log.warning("step_is_sent_later", sid=str(step.sid), error=repr(error))
            await asyncio.sleep(SEND_AGAIN)
            self._sent_at.pop(step.key, None)
            self._turns.put_back(step.key)
            self._changed.set()
        else:
            self._drop_event(step.key)

    async def _fail(self, step: ReadyStep) -> None:
        with contextlib.suppress(NoSuchStep):
            await Backoff("a step that can't be sent", on=is_transient).call(
                lambda: self._handlers.take_result(
                    job_id=step.job_id, gid=step.gid, sid=step.sid, attempt=step.attempt, outputs=[], error=UNSENDABLE
                )
            )

    async def _read(self, gid: UUID, version: int) -> RecordedEvent:
        [recorded] = await self._handlers.store.read_stream(gid, after=version - 1, to_version=version)
        return recorded

    async def _recover(self) -> None:
        """Fills the memory of a new leader: what was sent, from the work queue, and what waits, from the table."""
        store = self._handlers.store
        await store.watermarks.wait_for(OPEN_STEPS.watermark, await store.head(), TABLE_WAIT)
        for key, at in (await queued_attempts(self._broker)).items():
            self._sent_at.setdefault(key, at)
            if (scheduled := self._scheduled.get(key)) is not None:
                self._turns.note_sent(scheduled.step)
        while await self._add_unknown(self._handlers.clock() + 2 * LONGEST_RETRY_DELAY):
            pass

    async def _add_unknown(self, ready_before: datetime) -> bool:
        """Adds open steps that are not in memory; returns whether the table may have more of them."""
        scheduled_ids = [sid for sid, _ in self._scheduled]
        rows = await self._open_steps.ready_but(scheduled_ids, ready_before, MAX_ROWS)
        for row in rows:
            await self._pauses.learn(row.job_id, row.workflow)
            if await self._handlers.is_current(row.gid, row.sid, row.attempt):
                self._add(await self._read(row.gid, row.stream_version))
        self._changed.set()
        return len(rows) == MAX_ROWS and len(self._scheduled) > len(scheduled_ids)

    async def _reconcile_all(self) -> None:
        """Compares with the work queue and the table, at intervals; rests while no step is open."""
        marks = self._handlers.store.watermarks
        every = min(RECONCILE_EVERY, self._missing_after.total_seconds() / 2)
        backoff = Backoff(f"{NAME} comparing", on=is_transient)
        while True:
            watermark = marks.value(OPEN_STEPS.watermark)
            if await backoff.call(self._open_steps.any) or self._scheduled:
                await backoff.call(self._reconcile)
            else:
                await marks.wait_beyond(OPEN_STEPS.watermark, watermark)
            await asyncio.sleep(every)

    async def _reconcile(self) -> None:
        now = self._handlers.clock()
        await self._add_unknown(now - self._missing_after)
        await self._end_stale(now - timedelta(seconds=RECONCILE_EVERY))
        for kind in {step.kind for step in self._turns.sent()}:
            await self._resend_lost(kind, now)

    async def _end_stale(self, sent_before: datetime) -> None:
        """Forgets sent steps that wait for no result any more: they don't count against the queue's length."""
        for step in self._turns.sent():
            is_old = self._sent_at.get(step.key, sent_before) < sent_before
            if is_old and not await self._handlers.is_current(step.gid, step.sid, step.attempt):
                self._end(step.key)
                self._changed.set()

    async def _resend_lost(self, kind: str, now: datetime) -> None:
        """Sends again what the work queue has lost: see `processes/resend_steps.py`."""
        sent_steps = [step for step in self._turns.sent() if step.kind == kind]
        until = now - self._missing_after
        if not any(self._sent_at[step.key] <= until for step in sent_steps):
            return
        until = lost_before(await oldest_message(self._broker, kind), until)
        for step in sent_steps:
            if self._sent_at.get(step.key, now) > until:
                continue
            if not await self._handlers.is_current(step.gid, step.sid, step.attempt):
                self._end(step.key)
            elif self._turns.is_paused(step.line):
                self._sent_at.pop(step.key, None)
                self._turns.put_back(step.key)
            elif step.key in self._sent_at:
                log.warning("step_sent_again", sid=str(step.sid), attempt=step.attempt, job_id=str(step.job_id))
                self.resent += 1
                self._sent_at[step.key] = now
                await self._send(step)
