"""A job whose credits are held starts its generations: one stream each, planned as they were quoted."""

import asyncio
from collections.abc import Iterator
from uuid import uuid5

import structlog

from services.generation.domain.draws import draw
from services.generation.domain.generation import Start
from services.generation.domain.job import Abandon
from services.generation.domain.planning import plan_steps
from services.generation.facts import JobFacts
from services.generation.handlers import Engine
from shared.contracts.generation import JobAuthorized
from shared.contracts.sizes import KIB, encoded_size
from shared.eventstore import Context, RecordedEvent
from shared.messaging.failures import is_transient
from shared.processes import Process

NAME = "start-generations-v1"
MAX_BATCH = 100
MAX_BATCH_BYTES = 4 * 1024 * KIB

log = structlog.get_logger()


def starts(facts: JobFacts) -> Iterator[Start]:
    """The start of each generation of a job, in the order in which they were requested."""
    requested = facts.requested
    for each in facts.generations:
        values = draw(facts.given.variables, requested.variables, each.hash)
        yield Start(
            gid=each.gid,
            job_id=requested.job_id,
            user_id=requested.user_id,
            collection_id=requested.collection_id,
            hash=each.hash,
            variables=values,
            steps=plan_steps(facts.given, facts.definitions, values, each.gid, each.hash),
            cost=each.cost,
            encryption_enabled=requested.encryption_enabled,
        )


def next_batch(remaining: Iterator[Start]) -> list[Start]:
    """As many as are recorded together: planning them is work enough to be done beside the event loop."""
    batch: list[Start] = []
    size = 0
    while len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES and (start := next(remaining, None)) is not None:
        batch.append(start)
        size += encoded_size(start)
    return batch


def process(engine: Engine) -> Process:
    async def start(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, JobAuthorized)
        try:
            await _start(engine, event, recorded)
        except Exception as error:
            if is_transient(error):
                raise
            # It would fail for ever, and everybody's jobs would wait behind it.
            log.exception("job_abandoned", job_id=str(event.job_id))
            reason = f"GENERATION_FAILED: the job can't be started ({type(error).__name__})"
            await engine.command_job(
                event.job_id, Abandon(reason), recorded.context.caused(recorded.event_id, f"{NAME}:abandon")
            )

    return Process(NAME, (JobAuthorized,), start)


async def _start(engine: Engine, event: JobAuthorized, recorded: RecordedEvent) -> None:
    """A generation's start is a command of its own, so a start that is repeated goes on where it stopped."""
    facts = await engine.jobs.facts(event.job_id)
    assert facts is not None, "an authorized job was requested"
    context = recorded.context
    remaining = starts(facts)
    while batch := await asyncio.to_thread(next_batch, remaining):
        await asyncio.gather(
            *(
                engine.start_generation(
                    each,
                    Context(
                        command_id=uuid5(each.gid, "start"),
                        actor=NAME,
                        correlation_id=context.correlation_id or context.command_id,
                        causation_id=recorded.event_id,
                        traceparent=context.traceparent,
                    ),
                )
                for each in batch
            )
        )
