"""Histories of every aggregate, of any size, to measure how its fold and its state grow."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any
from uuid import UUID

from services.collections.deciders import ARTWORK, COLLECTION, COMPONENT_ASSET, PROJECT, SERIES
from services.collections.deciders import PACKAGE as REQUESTED_PACKAGE
from services.collections.domain.package import commands as package
from services.collections.domain.package.commands import RequestPackage
from services.collections.domain.package.contents import Part
from services.credits.domain.account import Account
from services.credits.domain.decisions import CaptureHold, GrantCredits, PlaceHold, ReleaseHold
from services.credits.domain.decisions import decide as decide_credits
from services.credits.handlers import ACCOUNT
from services.generation.deciders import ALLOWANCE, GENERATION, JOB, MODEL, SECRET, SOURCE, WORKFLOW
from services.generation.domain import job, secret
from services.generation.domain.generation import Start, TakeResult
from services.generation.domain.generation import decide as decide_generation
from services.storage.deciders import ASSET
from services.storage.deciders import PACKAGE as STORED_PACKAGE
from shared.contracts import collections as contracts
from shared.contracts.event import Event
from shared.contracts.generation import (
    CollectionAdopted,
    ModelDescribed,
    Output,
    PlannedStep,
    PreviewReserved,
    PreviewSettled,
    RequestedGeneration,
    StepError,
    WorkflowRegistered,
    generation_id,
)
from shared.contracts.storage import AssetDescribed, AssetStored, PackagePartTaken
from shared.eventstore import Decider

USER, ID = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MILLION = 1_000_000


class AccountLife:
    """An account, and its events."""

    def __init__(self) -> None:
        self.account, self.events = Account(), list[Event]()

    def give(self, number: int, amount: int = MILLION) -> None:
        self._do(GrantCredits(UUID(int=10**9 + number), USER, amount, "shop", 100, None, f"order {number}", NOW))

    def place(self, number: int, amount: int = MILLION) -> None:
        self._do(PlaceHold(USER, UUID(int=number), amount, NOW))

    def capture(self, number: int, amount: int = MILLION) -> None:
        self._do(CaptureHold(USER, UUID(int=number), amount, NOW))

    def release(self, number: int) -> None:
        self._do(ReleaseHold(USER, UUID(int=number), NOW))

    def _do(self, command: Any) -> None:
        events = decide_credits(command, self.account)
        assert events, "no command here is a repetition"
        self.account = reduce(ACCOUNT.evolve, events, self.account)
        self.events += events


def spent(size: int) -> AccountLife:
    """Each grant pays for one job, or for two when the first one fails or costs less."""
    life = AccountLife()
    for number in range(size):
        life.give(number)
        life.place(number)
        if number % 3:
            life.capture(number, 600_000)
        else:
            life.release(number)
        life.place(10**6 + number, life.account.available(NOW))
        life.capture(10**6 + number, life.account.holds[UUID(int=10**6 + number)].amount)
    return life


def declined(size: int) -> AccountLife:
    life = AccountLife()
    for number in range(size):
        life.place(number)
    return life


def of_one_grant(size: int) -> AccountLife:
    """Many jobs that a large grant pays for."""
    life = AccountLife()
    life.give(0, 10**12)
    for number in range(size):
        life.place(number)
        life.capture(number)
    return life


def decided(decider: Decider[Any], decide: Callable[[Any, Any], Any], commands: list[Any]) -> list[Event]:
    state, events = decider.initial, list[Event]()
    for command in commands:
        decision = decide(command, state)
        state = reduce(decider.evolve, decision, state)
        events += decision
    return events


def of_a_job(size: int, failing: int = 0) -> list[Event]:
    """Its generations end one by one; one in `failing` fails, and may be resumed."""
    gids = [generation_id(ID, place) for place in range(size)]
    request = job.RequestJob(
        job_id=ID,
        user_id=USER,
        collection_id=ID,
        project_id=ID,
        title="x",
        data={},
        workflow_versions={},
        variables={},
        generations=[RequestedGeneration(gid, "h", 1) for gid in gids],
        quoted=size,
        encryption_enabled=False,
    )
    ends = [
        job.EndGeneration(gid, cost=1, error="x" if failing and place % failing == 0 else None)
        for place, gid in enumerate(gids)
    ]
    commands = [request, job.Authorize(ID, USER, size), *(job.EndGenerations([end]) for end in ends)]
    return decided(JOB, job.decide, commands)


def _started(steps: int, attempts: int) -> Start:
    planned = [
        PlannedStep(
            sid=UUID(int=1000 + number),
            component_id=number,
            workflow="sketch",
            workflow_version=1,
            workflow_type="direct_job",
            service_required="sketch",
            payload={},
            needs=[number - 1] if number else [],
            max_attempts=attempts,
        )
        for number in range(steps)
    ]
    return Start(ID, ID, USER, ID, "h", {}, planned, steps)


def of_many_steps(size: int) -> list[Event]:
    """Each step depends on the previous one."""
    output = [Output(kind="text", text="x")]
    results = [TakeResult(UUID(int=1000 + number), 1, output, None, NOW, {}, {}) for number in range(size)]
    return decided(GENERATION, decide_generation, [_started(size, 1), *results])


def of_many_attempts(size: int) -> list[Event]:
    error = StepError(code="x", message="y", retryable=True)
    results = [TakeResult(UUID(int=1000), attempt + 1, [], error, NOW, {}, {}) for attempt in range(size)]
    return decided(GENERATION, decide_generation, [_started(1, size + 1), *results])


def of_edits(size: int) -> list[Event]:
    """Each replaces the collection's only step by a new one."""
    created = contracts.CollectionCreated(ID, ID, USER, "x", "", {"steps": []})
    revised = [contracts.InstructionsRevised(ID, {"steps": [{"id": 10**6 + 7 * number}]}) for number in range(size)]
    return [created, *revised, *(contracts.CollectionRetitled(ID, f"title {number % 10}") for number in range(size))]


def of_projects(size: int) -> list[Event]:
    events: list[Event] = [contracts.ProjectCreated(ID, USER, "x", is_default=False)]
    for number in range(size):
        chosen = contracts.CurrentCollectionChosen(ID, UUID(int=10**9 + number), UUID(int=10**9 + number - 1))
        events += [contracts.ProjectRenamed(ID, f"name {number % 10}"), chosen]
    return events


def of_a_series(size: int) -> list[Event]:
    return [contracts.SeriesBegun(ID, ID, USER, [generation_id(ID, place) for place in range(size)])]


def of_package_requests(size: int) -> list[Event]:
    """Each for different content."""
    requests = [RequestPackage(ID, ID, USER, "x", f"digest {number % 10}", [Part()]) for number in range(size)]
    return decided(REQUESTED_PACKAGE, package.decide, requests)


def of_package_parts(size: int) -> list[Event]:
    return [PackagePartTaken(ID, 1, number, [], []) for number in range(size)]


def of_an_asset(size: int) -> list[Event]:
    """Described many times; generation does it once."""
    stored = AssetStored(1, USER, "a", "a", "image/png", 1, "x")
    return [stored, *(AssetDescribed(1, {"n": number % 10}, {}) for number in range(size))]


def of_a_component_asset(size: int) -> list[Event]:
    linked = contracts.ComponentAssetLinked(1, USER, ID, 1, ID, ID, "a", "a", "image/png", "x")
    return [linked, *(contracts.ComponentAssetDescribed(1, {"n": number % 10}, {}) for number in range(size))]


def of_an_artwork(size: int) -> list[Event]:
    first = contracts.ArtworkDrawn(ID, ID, ID, USER, 0, "h", {"style": "ink"})
    return [first, *[contracts.ArtworkMade(ID, ID, ID, [], [])] * size]


def of_adoptions(size: int) -> list[Event]:
    return [CollectionAdopted(ID, ID, USER, f"title {n % 10}", {}, False, 10**6 + n) for n in range(size)]


def of_a_workflow(size: int) -> list[Event]:
    return [WorkflowRegistered(ID, "sketch", 10**6 + n, f"digest {n % 10}", {}) for n in range(size)]


def of_an_allowance(size: int) -> list[Event]:
    """Jobs that fail, one after the other: what they had is the visitor's again."""
    jobs = [UUID(int=number) for number in range(size)]
    return [
        event
        for job_id in jobs
        for event in (PreviewReserved(ID, USER, job_id, 0, 3), PreviewSettled(ID, USER, job_id, 0, 0))
    ]


def of_a_model(size: int) -> list[Event]:
    return [ModelDescribed(ID, "vae", "ae.safetensors", None, None, n) for n in range(size)]


def of_a_secret(size: int) -> list[Event]:
    commands = [secret.SetSecret("API_KEY", number, "operator") for number in range(1, size + 1)]
    return decided(SECRET, secret.decide, commands)


@dataclass(frozen=True)
class Life:
    """`bounded`: the state does not grow with the history."""

    decider: Decider[Any]
    events: Callable[[int], list[Event]]
    size: int
    bounded: bool = True


LIVES: dict[str, Life] = {
    "an account whose grants are spent": Life(ACCOUNT, lambda size: spent(size).events, 300),
    "an account whose holds are declined": Life(ACCOUNT, lambda size: declined(size).events, 1_000),
    "an account of one grant and many jobs": Life(ACCOUNT, lambda size: of_one_grant(size).events, 500),
    "a job of many generations": Life(JOB, of_a_job, 1_000),
    "a job whose generations fail": Life(JOB, lambda size: of_a_job(size, failing=3), 1_000, bounded=False),
    "a generation of many steps": Life(GENERATION, of_many_steps, 100, bounded=False),
    "a generation of many attempts": Life(GENERATION, of_many_attempts, 200),
    "a collection that is revised": Life(COLLECTION, of_edits, 1_000, bounded=False),
    "a project": Life(PROJECT, of_projects, 1_000),
    "a series": Life(SERIES, of_a_series, 1_000, bounded=False),
    "requests of a package": Life(REQUESTED_PACKAGE, of_package_requests, 500),
    "parts of a package": Life(STORED_PACKAGE, of_package_parts, 500, bounded=False),
    "an artwork": Life(ARTWORK, of_an_artwork, 500),
    "an asset": Life(ASSET, of_an_asset, 500),
    "a component's asset": Life(COMPONENT_ASSET, of_a_component_asset, 500),
    "a collection that generation knows": Life(SOURCE, of_adoptions, 500),
    "a workflow": Life(WORKFLOW, of_a_workflow, 500),
    "a visitor's allowance": Life(ALLOWANCE, of_an_allowance, 500),
    "a model": Life(MODEL, of_a_model, 500),
    "a secret": Life(SECRET, of_a_secret, 500),
}


def folded(decider: Decider[Any], events: list[Event]) -> Any:
    return reduce(decider.evolve, events, decider.initial)
