"""The largest event of every type that any accepted input can make fits into a message of any NATS.

Where what users send makes an event large, it is made here from the largest input that is accepted, found by trying;
all others are made with a longer text in each field than any input may have.

Over 300 lines: the inputs of every service's commands, in one table that the test of completeness reads.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, reduce
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from msgspec import inspect

from services.collections.domain import series
from services.collections.domain.artwork import commands as artwork
from services.collections.domain.artwork import state as artwork_state
from services.collections.domain.collection import creation, editing, receivers
from services.collections.domain.collection import state as collection
from services.collections.domain.collection.creation import CreateCollection
from services.collections.domain.collection.editing import EditCollection, SetReceivers
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.revision import EDITABLE_ONCE_PUBLISHED
from services.collections.domain.package import commands as package
from services.collections.domain.package import state as package_state
from services.credits.domain import account, decisions
from services.credits.domain.grants import Grant, OpenGrants
from services.generation.cost_function import cost_functions
from services.generation.domain import generation, job, workflow
from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.job_plan import JobRequest, plan_job
from services.generation.domain.planning.steps import StepOwner, plan_steps
from services.storage.consumers import out_data
from shared.contracts.collections import (
    ComponentAssetDescribed,
    PackagedDocument,
    PublicationCalledOff,
    PublicationRevised,
)
from shared.contracts.event import Event, event_type
from shared.contracts.generation import (
    CollectionAdopted,
    GenerationCancelled,
    Output,
    ResumedGenerations,
    StepCompleted,
    StepError,
    StoppedStep,
    generation_id,
    hold_id,
)
from shared.contracts.generation_input import read
from shared.contracts.language import language_of
from shared.contracts.problem import Problem
from shared.contracts.sizes import KIB, MAX_EVENT, encoded_size
from shared.contracts.storage import AssetDescribed, ImageScaled, PackagePartTaken, Rendition, RenditionKind
from shared.contracts.work import MAX_CHECKPOINT
from shared.persistent import Map
from tests.contracts.examples import full
from tests.unit.generation.builders import DEFINITIONS, NOW, data, folder, step

HEADERS = 8 * KIB
"""Of a message, and the metadata beside an event: bounded where they are made."""
USER, JOB, COLLECTION, PROJECT = (UUID(int=2**128 - number) for number in range(1, 5))
COMPONENT = 2**63 - 300
CONTROL = "\x01"
"""Six bytes as JSON."""


def most(make: Callable[[int], list[Event]], highest: int) -> list[Event]:
    """What the largest size makes that is accepted."""
    low, events = 0, make(0)
    while low < highest:
        middle = (low + highest + 1) // 2
        try:
            events, low = make(middle), middle
        except Problem:
            highest = middle - 1
    return events


def created(size: int) -> list[Event]:
    """Fields at their limits; the data has a text of so many quotes, two bytes each."""
    document = data(*(step(number + 1, prompt=CONTROL) for number in range(200)), variables=[text('"' * size)])
    fields = {"title": CONTROL * 200, "description": CONTROL * 20_000, "images": ["x" * (128 * KIB - 4)]}
    url = f"https://x.test/{'x' * 2000}"
    presentation = {
        "rights": CONTROL * 1_999 + "r",
        "license": CONTROL * 199 + "l",
        "license_url": url,
        "banner_image_url": url,
        "tags": [f"t{CONTROL * 45}{number:03}t" for number in range(30)],
    }
    changes = FieldChanges(**fields, **presentation, cover_image_url=url)
    ids = range(COMPONENT, COMPONENT + 200)
    command = CreateCollection(
        collection_id=COLLECTION,
        project_id=PROJECT,
        user_id=USER,
        changes=changes,
        data=document,
        component_ids=ids,
    )
    return creation.decide(command, collection.NOTHING)


def text(value: str | None = None, name: str = "t") -> dict[str, Any]:
    return {"name": name, "type": "text", **({} if value is None else {"value": value})}


@cache
def of_a_collection() -> list[Event]:
    events = most(created, 10**6)
    state = reduce(collection.evolve, events, collection.NOTHING)
    first = events[0]
    fields = ("collection_id", "project_id", "user_id", "title", "data", "encryption_enabled")
    adopted = CollectionAdopted(**{name: getattr(first, name) for name in fields}, source_version=2**63)
    edit = EditCollection(
        user_id=USER,
        project_id=PROJECT,
        changes=FieldChanges(
            images=["y" * (128 * KIB - 4)],
            description=CONTROL * 19_999,
            tags=[f"u{CONTROL * 45}{number:03}u" for number in range(30)],
        ),
        data={key: value for key, value in state.data.items() if key != "generations"},
    )
    addresses = (f"0x{number:040x}" for number in range(1, receivers.MAX_RECEIVERS + 1))
    kind, name = CONTROL * receivers.MAX_TYPE, "🖼" * receivers.MAX_NAME
    shares = [receivers.Share(address, Decimal("0.01"), kind, "royalty", name, "collaborator") for address in addresses]
    return [
        *events,
        adopted,
        *editing.decide(edit, state),
        *editing.decide(SetReceivers(USER, PROJECT, shares), state),
        PublicationCalledOff(COLLECTION, [CONTROL * 200] * 110),
        PublicationRevised(COLLECTION, 2**63, [*EDITABLE_ONCE_PUBLISHED, "receivers"]),
    ]


@cache
def of_a_job() -> list[Event]:
    """As large a collection and as much chosen as is accepted together, and ten thousand hashes of a body's size."""

    def request(size: int, data_size: int = 280 * KIB) -> list[Event]:
        generation_input = read({**data(step(1, prompt="x"), variables=[text()]), "more": "x" * data_size})
        chosen = {"t": "x" * size}
        plan = plan_job(generation_input, DEFINITIONS, JobRequest(chosen, 1), JOB, ["h"])
        generations = [
            msgspec.structs.replace(plan.generations[0], gid=generation_id(JOB, place), hash=CONTROL * 17, cost=10**12)
            for place in range(10_000)
        ]
        command = job.RequestJob(
            job_id=JOB,
            user_id=USER,
            collection_id=COLLECTION,
            project_id=PROJECT,
            title=CONTROL * 200,
            data=generation_input.document,
            workflow_versions={f"{number:0200}": 1 for number in range(200)},
            variables=plan.chosen,
            generations=generations,
            quoted=2**63,
            encryption_enabled=True,
        )
        return list(job.decide(command, job.Job()))

    return [*most(request, 400_000), *most(lambda size: request(0, size), 600_000)]


@cache
def of_a_generation() -> list[Event]:
    """Every variable and every payload as large as is accepted."""

    def start(size: int) -> list[Event]:
        variables = [text('"' * size, f"v{number}") for number in range(100)]
        image = {"src": "".join(f"{{{{v{number}}}}}" for number in range(100))}
        generation_input = read(
            data(step(1, "frame", image=image), variables=variables, hashes=[CONTROL * 256], use_custom_hashes=True)
        )
        [generation_plan] = plan_job(generation_input, DEFINITIONS, JobRequest(), JOB, ()).generations
        values = draw(generation_input.variables, {}, generation_plan.hash)
        steps = plan_steps(
            generation_input, DEFINITIONS, values, generation_plan.hash, StepOwner(USER, JOB, generation_plan.gid)
        )
        command = generation.Start(generation_plan.gid, JOB, USER, COLLECTION, generation_plan.hash, values, steps, 1)
        return list(generation.decide(command, generation.Generation()))

    events = most(start, 10**5)
    started: Any = events[0]
    assert encoded_size(started) > 900 * KIB, "the largest that is accepted is nearly as large as it may be"
    draw_command = artwork.DrawArtwork(
        started.gid, JOB, COLLECTION, USER, started.hash, started.variables, series.Series(COLLECTION, {started.gid: 0})
    )
    return [*events, *artwork.decide(draw_command, artwork_state.NOTHING)]


@cache
def of_results() -> list[Event]:
    """As much made as is believed, from data as large as is accepted; and the same, failed in the end."""
    document = data(step(1, prompt="x"), step(2, prompt="x"), variables=[text("x" * 470 * KIB)])
    generation_input = read(document)
    gid = generation_id(JOB, 0)
    steps = plan_steps(generation_input, DEFINITIONS, {"t": "x"}, "h", StepOwner(USER, JOB, gid))
    start = generation.Start(gid, JOB, USER, COLLECTION, CONTROL * 256, {"t": "x" * 470 * KIB}, steps, 1)
    state = reduce(generation.evolve, generation.decide(start, generation.Generation()), generation.Generation())

    def result(sid: UUID, size: int, error: StepError | None = None) -> generation.TakeResult:
        outputs = [Output(kind="json", json="x" * size)]
        return generation.TakeResult(sid, 1, outputs, error, NOW, document, {})

    def completed(size: int) -> list[Event]:
        events = list(generation.decide(result(steps[0].sid, size), state))
        if not isinstance(events[0], StepCompleted):
            raise Problem("VALIDATION_FAILED", "so much is not believed")
        return events

    first = most(completed, 10**6)
    assert encoded_size(first[0]) > 380 * KIB
    before = generation.decide(result(steps[0].sid, 383 * KIB), state)
    state = reduce(generation.evolve, before, state)
    error = StepError("x" * 100, CONTROL * 2000, retryable=False)
    ends = [generation.decide(result(steps[1].sid, 1, fault), state) for fault in (None, error)]
    checkpoint = generation.TakeCheckpoint(steps[1].sid, 1, 1, {"task": "x" * (MAX_CHECKPOINT - 11)})
    assert encoded_size(checkpoint.checkpoint) == MAX_CHECKPOINT
    return [*first, *ends[0], *ends[1], *generation.decide(checkpoint, state), *of_rounds(start, state, ends[1])]


def of_rounds(start: generation.Start, state: generation.Generation, failure: Sequence[Event]) -> list[Event]:
    """The generation is cancelled with 200 running steps; and, failed, it is resumed with 200 kept ones."""
    cancel = generation.Cancel(start.gid, JOB, USER, 0, data(step(1, prompt="x" * 470 * KIB)), {})
    [cancelled] = generation.decide(cancel, state)
    assert isinstance(cancelled, GenerationCancelled)
    stopped = StoppedStep(JOB, COMPONENT, 100, "dynamic_json", "x" * 200)
    failed = reduce(generation.evolve, failure, state)
    resumed = generation.decide(msgspec.structs.replace(start, round=1, keep=[1]), failed)[0]
    keep = list(range(COMPONENT, COMPONENT + 200))
    return [
        msgspec.structs.replace(cancelled, stopped=[stopped] * 200),
        msgspec.structs.replace(resumed, keep=keep),
    ]


@cache
def of_resumes() -> list[Event]:
    """As many failed generations as one resume may have, each with 200 kept steps; and its refusal by credits."""
    gids = [generation_id(JOB, place) for place in range(10_000)]
    keep = list(range(COMPONENT, COMPONENT + 200))
    state = job.Job(
        job_id=JOB,
        user_id=USER,
        status="failed",
        total=len(gids),
        unfinished=Map(zip(gids, range(10_000), strict=True)),
    )

    def resume(size: int) -> list[Event]:
        generations = [ResumedGenerations([gid], 10**12, "cancelled", keep) for gid in gids[:size]]
        return list(job.decide(job.Resume(0, "last_completed", generations), state))

    resumed = most(resume, len(gids))
    assert encoded_size(resumed[0]) > 630 * KIB, "the largest that is accepted is nearly as large as it may be"
    pending = reduce(job.evolve, resumed, state)
    return [*resumed, *job.decide(job.Reject("x" * 100, CONTROL * 2000, hold_id(JOB, 1)), pending)]


@cache
def of_files() -> list[Event]:
    ended = [event for event in of_results() if hasattr(event, "gen_in_data")]
    described: list[Event] = []
    for event in ended:
        members: Any = (2**63, event.gen_in_data, out_data(event))
        described += [AssetDescribed(*members), ComponentAssetDescribed(*members)]
    outputs: Any = ended[0].outputs
    state = artwork_state.Artwork(generation_id(JOB, 0), JOB, COLLECTION, {"t": "x" * 470 * KIB})
    files = [Output(kind="asset", asset_id=2**63, url="x" * 500, path="x" * 500)] * 300
    outputs[0].outputs.extend(files)
    command = artwork.CompleteArtwork(generation_id(JOB, 0), outputs, ended[0].gen_in_data["variables"])
    copies = [
        Rendition(kind, 2**63, "x" * 1024, "image/webp", 1000, 1000, 2**63, "a" * 64, "b" * 64)
        for kind in get_args(RenditionKind)
    ]
    return [*described, *artwork.decide(command, state), ImageScaled(2**63, 2**31, 2**31, copies)]


@cache
def of_a_series() -> list[Event]:
    gids = [generation_id(JOB, place) for place in range(10_000)]
    return list(series.decide(series.BeginSeries(JOB, COLLECTION, USER, gids), series.NOTHING))


@cache
def of_a_package() -> list[Event]:
    """Documents of any size that is taken, and many of them."""

    def request(size: int) -> list[Event]:
        documents = [PackagedDocument(f"metadata/tezos/{number}.json", '"' * size) for number in range(6)]
        return package.decide(
            package.package_request(COLLECTION, JOB, USER, CONTROL * 200, [], [], documents), package_state.NOTHING
        )

    events: list[Any] = most(request, 10**6)
    names = PackagePartTaken.__struct_fields__
    return [*events, *(PackagePartTaken(**{name: getattr(part, name) for name in names}) for part in events[:-1])]


@cache
def of_an_account() -> list[Event]:
    """As many grants as an account may have, each a little; one hold that takes them all."""
    now = datetime(2026, 11, 26, tzinfo=UTC)
    most = 10**12
    grants = [
        Grant(UUID(int=2**128 - 1 - number), most, 1, number, most) for number in range(decisions.MAX_OPEN_GRANTS)
    ]
    state = account.Account(grants=OpenGrants.of(grants), grant_count=len(grants))
    place = decisions.PlaceHold(USER, JOB, 10**12 * decisions.MAX_OPEN_GRANTS, now)
    placed = decisions.decide(place, state)
    held = reduce(account.evolve, placed, state)
    half = 10**12 * decisions.MAX_OPEN_GRANTS // 2
    return [
        *placed,
        *decisions.decide(decisions.CaptureHold(USER, JOB, half, now), held),
        *decisions.decide(decisions.ReleaseHold(USER, JOB, now), held),
    ]


@cache
def of_a_workflow() -> list[Event]:
    def register(size: int) -> list[Event]:
        command = workflow.Register("x" * 200, {**folder("sketch"), "test": CONTROL * size})
        return list(workflow.decide(command, workflow.Workflow(), cost_functions))

    return most(register, 10**6)


LARGE = (
    of_a_collection,
    of_a_job,
    of_a_generation,
    of_results,
    of_resumes,
    of_files,
    of_a_series,
    of_a_package,
    of_an_account,
    of_a_workflow,
)
OWNERS = ("collections", "credits", "generation", "storage")


@cache
def largest() -> dict[str, int]:
    """Bytes of the largest of each type."""
    sizes: dict[str, int] = {}
    for make in LARGE:
        for event in make():
            sizes[event_type(event)] = max(sizes.get(event_type(event), 0), encoded_size(event))
    return sizes


def is_small(event: type[Event]) -> bool:
    """Whether nothing in it can be of any length but single texts."""
    info = inspect.type_info(event)
    assert isinstance(info, inspect.StructType)
    kinds = inspect.ListType | inspect.DictType | inspect.AnyType
    return not any(isinstance(field.type, kinds) for field in info.fields)


@pytest.mark.parametrize("event", [event for owner in OWNERS for event in language_of(owner).events], ids=event_type)
def test_the_largest_event_fits(event: type[Event]) -> None:
    """With its headers it has one mebibyte at most. A type that can be large is among LARGE, or this fails."""
    tag = event_type(event)
    if is_small(event) and tag not in largest():
        texts = {
            name: CONTROL * 4_000
            for name, value in msgspec.structs.asdict(full(event)).items()
            if isinstance(value, str)
        }
        size = encoded_size(msgspec.structs.replace(full(event), **texts))
    else:
        assert tag in largest(), f"{tag} may be large: make the largest of it here, from what is accepted"
        size = largest()[tag]
    assert size + HEADERS <= MAX_EVENT
