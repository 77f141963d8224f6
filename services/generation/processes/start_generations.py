"""A job whose credits are held starts its generations: one stream each, planned as they were quoted."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from uuid import uuid5

from services.generation.domain.draws import draw
from services.generation.domain.generation import Start
from services.generation.domain.planning import plan_steps
from services.generation.facts import JobFacts
from services.generation.handlers import Engine
from shared.contracts.generation import JobAuthorized
from shared.eventstore import Context, RecordedEvent
from shared.processes import Process

NAME = "start-generations-v1"
AT_ONCE = 100


def starts(facts: JobFacts) -> Iterator[Start]:
    """The start of each generation of a job, in the order in which they were requested."""
    requested = facts.requested
    for each in requested.generations:
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


def process(engine: Engine) -> Process:
    async def start(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, JobAuthorized)
        facts = await engine.jobs.facts(event.job_id)
        assert facts is not None, "an authorized job was requested"
        context = recorded.context
        remaining = starts(facts)
        # A generation's start is a command of its own, so a start that is repeated goes on where it stopped.
        while batch := list(islice(remaining, AT_ONCE)):
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

    return Process(NAME, (JobAuthorized,), start)
