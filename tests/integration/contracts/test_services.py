"""What services say of themselves: whom they listen to, and their OpenAPI and AsyncAPI documents."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import jsonschema
import msgspec
import pytest
import pytest_asyncio
import yaml
from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra.cli.main import main
from services.edge.app import VERSION
from services.edge.document.openapi import METHODS, merge
from services.edge.routing import RoutingTable, Upstream
from shared.contracts.event import event_type
from shared.messaging import Consumer
from shared.messaging.streams import subject_of
from tests.contracts import golden
from tests.contracts.built import Document, built, openapi
from tests.contracts.catalogue import definitions, event_modules
from tests.support.servers import Servers

SERVICES = sorted(definitions())


class Service(msgspec.Struct, frozen=True):
    """What a service turned out to be made of."""

    consumers: list[Consumer]
    openapi: Document


@pytest.fixture(scope="module")
def database_urls(servers: Servers) -> Iterator[dict[str, str]]:
    urls = {name: servers.create_database() for name in SERVICES}
    yield urls
    for dsn in urls.values():
        servers.drop_database(dsn)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(
    database_urls: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Service]]:
    """All of them, each built once."""
    services_by_name = {}
    async with AsyncExitStack() as stack:
        for name, url in database_urls.items():
            runtime, parts = await stack.enter_async_context(built(name, url, tmp_path_factory.mktemp(name)))
            services_by_name[name] = Service(list(parts.consumers), await openapi(runtime, parts))
        yield services_by_name


def asyncapi(service: str, *options: str) -> str:
    """What `emprops asyncapi` prints."""
    result = CliRunner().invoke(main, ["asyncapi", "--service", service, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", SERVICES)
def test_consumers_take_events_that_exist(name: str, services: dict[str, Service]) -> None:
    """Of another service, published by it today, each once; no consumer names a type that no service publishes."""
    for consumer in services[name].consumers:
        assert consumer.owner != name, "what happens in a service itself is for its processes"
        assert consumer.owner in event_modules(), consumer
        unknown = set(consumer.events) - set(event_modules()[consumer.owner].EVENTS)
        assert not unknown, f"{consumer.name} waits for {unknown}, which {consumer.owner} does not publish"
        assert len(set(consumer.events)) == len(consumer.events) > 0, consumer.name
        assert consumer.language is None, f"{consumer.name} must read {consumer.owner} by its contracts"


def test_a_consumer_s_name_is_its_own(services: dict[str, Service]) -> None:
    """It is a durable's name on the broker, where all services meet, and says its service and its version."""
    names = Counter(consumer.name for owner in services.values() for consumer in owner.consumers)
    assert not [name for name, count in names.items() if count > 1]
    for owner, service in services.items():
        for consumer in service.consumers:
            assert consumer.name.startswith(f"{owner}-"), consumer.name
            assert consumer.name.rpartition("-v")[2].isdecimal(), consumer.name


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_s_openapi_document_is_valid(name: str, services: dict[str, Service]) -> None:
    """OpenAPI 3.1: by its schema, with references that lead somewhere, path parameters, operation ids of one use."""
    document = services[name].openapi
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_the_edge_s_openapi_document_is_valid(services: dict[str, Service]) -> None:
    """Merged of all services' documents, with every public operation of each."""
    table = RoutingTable()
    documents = {upstream.value: services[upstream.value].openapi for upstream in Upstream}
    merged = merge(documents, table, title="EmProps collections", version=VERSION)
    OpenAPIV31SpecValidator(merged).validate()
    routed = {
        (path, method)
        for service, document in documents.items()
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item and (rule := table.match(method.upper(), path)) and rule.upstream == service
        and not rule.internal
    }  # fmt: skip
    routed |= {("/api/collections/generate", "post")}  # the edge's own
    assert {(path, method) for path, item in merged["paths"].items() for method in METHODS if method in item} == routed


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_s_asyncapi_document_lists_all_its_events(name: str, services: dict[str, Service]) -> None:
    """Each that it publishes as sent, each that its consumers take as received, by their subjects."""
    document = json.loads(asyncapi(name, "--json"))
    expected = {("send", subject_of(name, event.aggregate, "{stream_id}", event_type(event)), event_type(event))
              for event in definitions()[name].events}  # fmt: skip
    expected |= {
        ("receive", subject_of(consumer.owner, event.aggregate, "{stream_id}", event_type(event)), event_type(event))
        for consumer in services[name].consumers
        for event in consumer.events
    }
    listed = set()
    for operation in document["operations"].values():
        channel = document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        listed |= {(operation["action"], channel["address"], tag) for tag in channel["messages"]}
    assert listed == expected
    assert set(document["components"]["messages"]) == {tag for _, _, tag in expected}


@pytest.mark.parametrize("name", SERVICES)
def test_golden_bytes_are_what_the_asyncapi_document_says(name: str) -> None:
    """Programs in other languages can check what they read with its schemas."""
    components = json.loads(asyncapi(name, "--json"))["components"]
    for event in definitions()[name].events:
        tag = event_type(event)
        schema = {**components["messages"][tag]["payload"], "components": components}
        validator = jsonschema.Draft202012Validator(schema)
        for data in golden.read(name, tag).values():
            validator.validate(json.loads(data))


def test_the_asyncapi_document_is_the_same_in_every_form() -> None:
    """JSON, YAML, and for people a table with every event in it."""
    document = json.loads(asyncapi("credits", "--json"))
    assert yaml.safe_load(asyncapi("credits", "--yaml")) == document
    table = asyncapi("credits")
    assert all(tag in table for tag in document["components"]["messages"])
