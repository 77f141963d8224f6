"""The terms of the published language: each has one meaning, and is explained."""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

from shared.contracts.event import Event, event_type
from shared.contracts.language import language_of
from shared.eventstore import Decider
from tests.contracts import schemas
from tests.contracts.catalogue import Contract, codec_of, contracts, defined_in, definitions, event_modules
from tests.contracts.examples import full, minimal

EVENTS = [contract for contract in contracts() if contract.aggregate is not None]
TAG = re.compile(r"[a-z]+(_[a-z]+)*\.v[1-9][0-9]*")
IRREGULAR = {
    "begun",
    "chosen",
    "drawn",
    "found",
    "given",
    "held",
    "kept",
    "lost",
    "made",
    "paid",
    "sent",
    "set",
    "taken",
}
"""Past participles that don't end in -ed; others may join."""

IGNORED: dict[str, str] = {
    "job_generations_listed.v1": "what a job must remember of its generations follows from how many there are",
    "job_hold_confirmed.v1": "it is an answer to credits, which extends the hold",
    "package_part_listed.v1": "a package may list much: its manifest is made from history, and storage has it",
}
"""Events that change no state of their aggregate, on purpose: the tag and the reason."""

STATES = {"credits_low.v1"}
"""Notices, which tell what is so now instead of what happened."""

DECIDERS = [(definition, decider) for definition in definitions().values() for decider in definition.deciders]


def aggregate_events(owner: str, aggregate: str) -> list[type[Event]]:
    return [event for event in event_modules()[owner].EVENTS if event.aggregate == aggregate]


def test_a_tag_means_one_thing() -> None:
    """No two events of any owners have the same one: logs, subjects and documents of all services use them together."""
    tags = sorted(contract.name for contract in EVENTS)
    assert not [tag for tag, following in pairwise(tags) if tag == following]


@pytest.mark.parametrize("contract", EVENTS, ids=str)
def test_a_tag_says_what_happened_and_in_which_version(contract: Contract) -> None:
    """`hold_placed.v1`: words in lower case, one of them a past participle, and a version."""
    assert TAG.fullmatch(contract.name), (
        f"{contract.type.__name__} needs a tag like thing_done.v1, not {contract.name!r}"
    )
    words = contract.name.partition(".")[0].split("_")
    is_past = any(word.endswith("ed") or word in IRREGULAR for word in words)
    assert is_past or contract.name in STATES, (
        f"{contract.name} does not say what happened: name it in past tense (IRREGULAR lists verbs like {IRREGULAR})"
    )


@pytest.mark.parametrize("contract", EVENTS, ids=str)
def test_a_tag_is_its_class_s_name(contract: Contract) -> None:
    """`HoldPlaced` is `hold_placed`, so that one word finds it in code and history. A later version may add V2."""
    name, _, version = contract.name.partition(".v")
    camel = "".join(word.capitalize() for word in name.split("_"))
    assert contract.type.__name__ in {camel, f"{camel}V{version}"}


@pytest.mark.parametrize("contract", EVENTS, ids=str)
def test_an_event_names_its_aggregate(contract: Contract) -> None:
    """It is a part of its subject."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", contract.aggregate or ""), f"{contract.type.__name__} sets no aggregate"


@pytest.mark.parametrize("owner", event_modules())
def test_a_service_knows_the_state_of_each_of_its_aggregates(owner: str) -> None:
    """For each word in its events there is one decider, and for each decider there are events."""
    deciders = {decider.name for decider in definitions()[owner].deciders}
    aggregates = {event.aggregate for event in event_modules()[owner].EVENTS}
    assert not aggregates - deciders, f"{owner} has events of these, and no decider: {sorted(aggregates - deciders)}"
    assert not deciders - aggregates, f"{owner} has deciders of these, and no events: {sorted(deciders - aggregates)}"


@pytest.mark.parametrize("owner", event_modules())
def test_a_service_reads_its_history_by_the_published_language(owner: str) -> None:
    """With the same types and the same upcasters as every other consumer."""
    definition, language = definitions()[owner], language_of(owner)
    assert definition.events is language.events
    assert definition.upcasters is language.upcasters


@pytest.mark.parametrize("owner", event_modules())
def test_an_upcast_event_stays_with_its_aggregate(owner: str) -> None:
    """Its subject names the aggregate: when today's code publishes it again, the aggregate must be the same."""
    codec, recorded = codec_of(owner), schemas.read(owner)
    for tag in language_of(owner).upcasters:
        [newest] = {event.aggregate for name, event in codec.events.items() if tag in codec.stored_tags([name])}
        assert recorded[tag]["aggregate"] == newest, f"{tag} was an event of another aggregate"


@pytest.mark.parametrize("module", event_modules().values(), ids=event_modules())
def test_a_module_lists_all_its_events(module: ModuleType) -> None:
    """An event that is not in EVENTS could neither be recorded nor read."""
    events = set(defined_in(module, Event))
    abstract = {base for event in events for base in event.__mro__[1:]}
    missing = {event.__name__ for event in events - abstract - set(module.EVENTS)}
    assert not missing, f"{module.__name__}.EVENTS lacks {sorted(missing)}"
    assert len(set(module.EVENTS)) == len(module.EVENTS), "an event is listed twice"
    assert set(module.EVENTS) <= events, "an event of another module is listed"


def test_a_service_records_what_its_module_lists() -> None:
    """Each owner of events is a service, and each service with a history owns its module's events."""
    assert set(definitions()) >= set(event_modules())
    for name, definition in definitions().items():
        listed = event_modules()[name].EVENTS if name in event_modules() else ()
        assert set(definition.events) == set(listed), name


@pytest.mark.parametrize(("definition", "decider"), DECIDERS, ids=[decider.name for _, decider in DECIDERS])
def test_an_aggregate_evolves_with_each_of_its_events(definition: Any, decider: Decider[Any]) -> None:
    """Each changes a state that others have led to, but for those that are ignored on purpose."""
    events = aggregate_events(definition.name, decider.name)
    assert events, f"{definition.name} has no events of a {decider.name}"
    states, unmoved = [decider.initial], []
    for event in events:
        changed = next(changes(decider, event, states), None)
        if changed is None:
            unmoved.append(event_type(event))
        else:
            states.append(changed)
    ignored = [tag for tag in IGNORED if tag in {event_type(event) for event in events}]
    assert unmoved == ignored, "evolve these, or say in IGNORED why not"


def changes(decider: Decider[Any], event: type[Event], states: list[Any]) -> Iterator[Any]:
    """What the event makes of the states, newest first, that it changes. KeyError: it can't happen in that state."""
    for state in reversed(states):
        for example in (full(event), minimal(event)):
            with suppress(KeyError):
                after = decider.evolve(state, example)
                if after != state:
                    yield after


@pytest.mark.parametrize("definition", definitions().values(), ids=definitions())
def test_tables_are_made_of_events_that_exist(definition: Any) -> None:
    """A read table follows events of its own service, each of them once."""
    for projection in definition.projections:
        assert set(projection.events) <= set(definition.events), projection.name
        assert len(set(projection.events)) == len(projection.events), projection.name
