"""Work grows with its input in what else takes users' data: edits, publishing, results, grants, headers, packages."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Any
from uuid import UUID

import msgspec
import pytest

from services.collections.domain.collection import editing, publishing, selection
from services.collections.domain.collection import state as collection
from services.collections.domain.collection.editing import (
    ConfigurePreview,
    EditCollection,
    ReplaceVariables,
    SetReceivers,
)
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.publishing import PublishCollection, Resolution
from services.collections.domain.collection.receivers import Share
from services.collections.domain.collection.selection import Choice, ChooseSeries, FinishedJob, selected
from services.collections.domain.collection.state import Collection
from services.collections.domain.collection.template import filled_data
from services.credits.domain.account import Account
from services.credits.domain.account import evolve as evolve_account
from services.credits.domain.decisions import CaptureHold, GrantCredits, PlaceHold
from services.credits.domain.decisions import decide as decide_credits
from services.edge.template_images import overrides_with_images
from services.generation.cost_function import cost_functions
from services.generation.domain import job, workflow
from services.generation.engine.intake.result_message import read_result
from services.generation.routes.models import select_named
from services.generation.views.workflow import ModelView
from services.storage.domain.paths import clean_name, decode_name, media_type
from services.storage.domain.ranges import parse_ranges
from shared.content.package import Contents, manifest, plan
from shared.contracts.collections import PackagedDocument
from shared.contracts.event import Event
from shared.contracts.generation import ResumedGenerations, generation_id
from shared.contracts.web_images import with_addresses
from shared.http.envelope import decode_cursor
from shared.http.etag import is_not_modified
from shared.http.positions import parse_positions
from shared.persistent import Map
from tests.support.steps import growth
from tests.unit.collections.specification import ALICE, PROJECT, created
from tests.unit.generation.builders import data, folder, pick, step
from tests.unit.growth.test_growth import AT_MOST, Work, attempted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB = UUID(int=1)


def draft(**fields: Any) -> collection.Collection:
    return reduce(
        collection.evolve, created(blockchain="BASE", editions=1, price=Decimal(1), **fields), collection.NOTHING
    )


def values(size: int) -> dict[str, Any]:
    return data(step(1, prompt="{{v}}", z=["x"] * size), variables=[pick("v", *map(str, range(size)))])


def editing_data(size: int) -> Work:
    command = EditCollection(
        user_id=ALICE, project_id=PROJECT, changes=FieldChanges(), data=values(size), component_ids=range(10, 20)
    )
    state = draft()
    return lambda: editing.decide(command, state)


def editing_fields(size: int) -> Work:
    images = [f"https://x.test/{number}.png" for number in range(size)]
    changes = FieldChanges(title="t", description="d" * size, images=images)
    command = EditCollection(user_id=ALICE, project_id=PROJECT, changes=changes)
    state = draft()
    return attempted(lambda: editing.decide(command, state))


def editing_variables(size: int) -> Work:
    command, state = ReplaceVariables(ALICE, [pick("v", *map(str, range(size)))]), draft(data=values(10))
    return attempted(lambda: editing.decide(command, state))


def setting_receivers(size: int) -> Work:
    shares = [Share(f"0x{number + 1:040x}", Decimal("0.01"), "artist") for number in range(size)]
    state = draft()
    return attempted(lambda: editing.decide(SetReceivers(ALICE, PROJECT, shares), state))


def publishing_it(size: int) -> Work:
    state = draft(data=values(size), images=[f"https://x.test/{number}.png" for number in range(size)])
    job = FinishedJob(UUID(int=7), [UUID(int=number) for number in range(size)])
    return attempted(lambda: _publish(state, job))


def choosing_series(size: int) -> Work:
    job, state = FinishedJob(UUID(int=7), [UUID(int=number) for number in range(size)]), draft()
    return attempted(lambda: selection.decide(ChooseSeries(ALICE, job, job.made[::-1]), state))


def filling(size: int) -> Work:
    """At as many places as there may be overrides, in data that grows with them."""
    state = draft()
    steps = [{"id": number, "nodeName": "sketch", "nodePayload": {"a": "x"}} for number in range(1, size + 1)]
    template = msgspec.structs.replace(state, data={**state.data, "steps": steps})
    overrides = {f"data.steps[{number}].nodePayload.a": "y" for number in range(size)}
    return lambda: filled_data(template, overrides)


def replacing_images(size: int) -> Work:
    """One image at as many places."""
    images = {f"data.a{number}": [{"$fetch": "https://art.example/a.png"}] for number in range(size)}
    encoded = msgspec.Raw(msgspec.json.encode(images))

    def work() -> None:
        overrides = overrides_with_images(encoded)
        assert overrides is not None
        with_addresses(overrides.values, {"https://art.example/a.png": "https://api.test/assets/1/content"})

    return work


def _publish(state: Collection, job: FinishedJob) -> list[Event]:
    resolution = Resolution(selected(job, job.made[::-1]))
    return publishing.decide(PublishCollection(ALICE, NOW, None, Choice(job.job_id), resolution), state)


def result(size: int) -> Work:
    """With a character that it may not have, so that all of it is looked at."""
    outputs = [{"kind": "text", "text": "\0"}, *[{"kind": "json", "json": {"a": [1]}}] * size]
    members = {
        "job_id": str(JOB),
        "gid": str(JOB),
        "sid": str(JOB),
        "attempt": 1,
        "status": "completed",
        "outputs": outputs,
    }
    body = json.dumps(members).encode()
    return lambda: read_result(body)


def account(grants: int) -> Account:
    state = Account()
    for number in range(grants):
        command = GrantCredits(UUID(int=number), ALICE, 1, "x", 1, None, None, NOW)
        state = reduce(evolve_account, decide_credits(command, state), state)
    return state


def holding(size: int) -> Work:
    """Of as many grants, each with a credit."""
    state = account(size)
    return lambda: decide_credits(PlaceHold(ALICE, JOB, size, NOW), state)


def capturing(size: int) -> Work:
    state = account(size)
    held = reduce(evolve_account, decide_credits(PlaceHold(ALICE, JOB, size, NOW), state), state)
    return lambda: decide_credits(CaptureHold(ALICE, JOB, size // 2, NOW), held)


def contents(size: int) -> Contents:
    documents = [PackagedDocument(f"metadata/{number % 7}/{number}.json", "{}") for number in range(size)]
    return Contents(JOB, JOB, "t", [], [], documents)


def listing(size: int) -> Work:
    package_contents = contents(size)
    return lambda: manifest(package_contents)


def packing(size: int) -> Work:
    package_contents = contents(size)
    return lambda: plan(package_contents)


def name(size: int) -> Work:
    return attempted(lambda: clean_name(decode_name("%41%C3%A4" * size, "header:X-Filename"), "header:X-Filename"))


def registering(size: int) -> Work:
    """A workflow of so many fields, each with its place in the payload and an option per field."""
    definition = folder("sketch")
    fields = [
        {"id": f"f{number}", "name": "F", "type": "select", "options": ["a", {"value": "b", "label": "B"}]}
        for number in range(size)
    ]
    inputs = [{"id": f"f{number}", "pathJq": f".payload.a{number}.b[0]"} for number in range(size)]
    command = workflow.Register("x", {**definition, "form": {**definition["form"], "fields": fields}, "inputs": inputs})
    return attempted(lambda: workflow.decide(command, workflow.Workflow(), cost_functions))


def resuming(size: int) -> Work:
    """Of a job with as many failed generations, each with a kept step of its own."""
    gids = [generation_id(JOB, place) for place in range(size)]
    unfinished = Map({gid: place for place, gid in enumerate(gids)})
    state = job.Job(job_id=JOB, user_id=ALICE, status="failed", total=size, unfinished=unfinished)
    resumed = [ResumedGenerations([gid], 1, "failed", [place]) for place, gid in enumerate(gids)]

    def work() -> None:
        reduce(job.evolve, job.decide(job.Resume(0, "last_completed", resumed), state), state)

    return work


def models(size: int) -> Work:
    views = [ModelView("vae", f"{number}.safetensors", None, None, None, []) for number in range(size)]
    names = [f"vae/{number}.safetensors" for number in range(size)]
    return lambda: select_named(views, names)


OPERATIONS: dict[str, tuple[int, Callable[[int], Work]]] = {
    "a collection's data is edited": (1_000, editing_data),
    "a collection's fields are edited": (200, editing_fields),
    "a collection's variables are replaced": (1_000, editing_variables),
    "a collection's receivers are set": (45, setting_receivers),
    "a preview is opened": (
        10,
        lambda _: lambda: editing.decide(ConfigurePreview(user_id=ALICE, enabled=True), draft()),
    ),
    "a collection is published": (300, publishing_it),
    "a series is chosen": (300, choosing_series),
    "a template is filled": (90, filling),
    "a template's images are replaced": (300, replacing_images),
    "a workflow is registered": (100, registering),
    "a job is resumed": (200, resuming),
    "models are read by their names": (500, models),
    "a worker's result is read": (500, result),
    "credits are held of many grants": (100, holding),
    "credits are captured of many grants": (100, capturing),
    "a manifest is written": (500, listing),
    "a package is laid out": (300, packing),
    "a file's name is read": (2_000, name),
    "a file's type is read": (2_000, lambda n: attempted(lambda: media_type("a/b;" + ";" * n))),
    "a range is read": (2_000, lambda n: attempted(lambda: parse_ranges("bytes=" + "1" * n + "-", 10))),
    "many ranges are read": (2_000, lambda n: attempted(lambda: parse_ranges("bytes=" + "1-2," * n, 10))),
    "many tags are compared": (2_000, lambda n: lambda: is_not_modified('"a", ' * n, '"b"')),
    "many positions are read": (2_000, lambda n: attempted(lambda: parse_positions("credits:1:1," * n, "?x"))),
    "a cursor is read": (2_000, lambda n: attempted(lambda: decode_cursor("x" * n, int))),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_twice_the_input_takes_at_most_twice_the_steps(operation: str) -> None:
    size, make = OPERATIONS[operation]
    assert growth(make, size) <= AT_MOST
