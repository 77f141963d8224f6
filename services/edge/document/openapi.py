"""Merges the services' OpenAPI documents into the public one: the routed operations, and the components they use."""

from collections.abc import Iterator, Mapping
from itertools import chain, count
from typing import Any

from services.edge.document.combined_operation import combined_operation
from services.edge.routing import RoutingTable

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
PREFIX = "#/components/"
DESCRIPTION = """Create NFT collections, generate their artwork, store it, and pay for it with credits.

Success is `{"data": …, "error": null}`; lists add `next_cursor`. An error is `application/problem+json` with a `code`
and, for wrong input, the JSON pointer of each fault. POSTs that create take `Idempotency-Key`; `If-Match` with an ETag
makes a change conditional. `GET /jobs/{id}/events` is a stream of server-sent events with `Last-Event-ID`."""

Document = dict[str, Any]


def _references(value: Any) -> Iterator[str]:
    """All component references in a value, as `schemas/Name`."""
    if isinstance(value, str):
        if value.startswith(PREFIX):
            yield value.removeprefix(PREFIX)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """The value with its references renamed."""
    if isinstance(value, str):
        reference = value.removeprefix(PREFIX)
        return PREFIX + names[reference] if reference != value and reference in names else value
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


def _public_paths(service: str, document: Document, table: RoutingTable) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            rule = table.match(method.upper(), path) if method in item else None
            if rule is None or rule.internal or rule.upstream != service:
                continue
            shared = {key: value for key, value in item.items() if key not in METHODS}
            operation = {**item[method], "security": [] if rule.roles is None else [{"bearer": []}]}
            operation.setdefault("tags", [service])
            paths.setdefault(path, shared)[method] = operation
    return paths


def _components(document: Document) -> dict[str, Any]:
    """The components by `section/Name`, without security schemes: the edge has its own."""
    return {
        f"{section}/{name}": value
        for section, entries in document.get("components", {}).items()
        if section != "securitySchemes"
        for name, value in entries.items()
    }


def _needed(paths: Any, components: Mapping[str, Any]) -> dict[str, Any]:
    """The components that the paths refer to, directly or through other components."""
    needed: dict[str, Any] = {}
    open_references = set(_references(paths))
    while open_references:
        reference = open_references.pop()
        if reference in components and reference not in needed:
            needed[reference] = components[reference]
            open_references.update(_references(components[reference]))
    return needed


def _clashing(needed: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The names of components that differ between services, or that refer to one that does."""
    first: dict[str, Any] = {}
    clashing: set[str] = set()
    for components in needed.values():
        for name, value in components.items():
            if first.setdefault(name, value) != value:
                clashing.add(name)
    while True:
        more = {
            name
            for components in needed.values()
            for name, value in components.items()
            if name not in clashing and not clashing.isdisjoint(_references(value))
        }
        if not more:
            return clashing
        clashing |= more


def merge(documents: Mapping[str, Document], table: RoutingTable, *, title: str, version: str) -> Document:
    """The public document. `documents` are those of the services, by service name.

    A component that is equal in several services occurs once. If they differ, each gets its service's name as a prefix.
    """
    paths = {service: _public_paths(service, document, table) for service, document in documents.items()}
    needed = {service: _needed(paths[service], _components(documents[service])) for service in documents}
    clashing = _clashing(needed)
    merged: Document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": service} for service in documents],
        "paths": {},
        "components": {"securitySchemes": {"bearer": BEARER}},
    }
    operation_ids: set[str] = set()
    for service in documents:
        names = {name: _service_name(service, name) for name in needed[service] if name in clashing}
        for path, item in _renamed(paths[service], names).items():
            for method in METHODS:
                if (operation := item.get(method)) and "operationId" in operation:
                    operation["operationId"] = _unique(operation["operationId"], service, operation_ids)
                    operation_ids.add(operation["operationId"])
            merged["paths"].setdefault(path, {}).update(item)
        for name, value in needed[service].items():
            section, _, key = names.get(name, name).partition("/")
            merged["components"].setdefault(section, {})[key] = _renamed(value, names)
    merged["paths"] = dict(sorted((merged["paths"] | combined_operation(merged)).items()))
    return merged


def _unique(operation_id: str, service: str, other_ids: set[str]) -> str:
    candidates = chain((operation_id, f"{service}_{operation_id}"), (f"{service}_{operation_id}_{n}" for n in count(2)))
    return next(candidate for candidate in candidates if candidate not in other_ids)


def _service_name(service: str, reference: str) -> str:
    section, _, name = reference.partition("/")
    return f"{section}/{service.capitalize()}{name}"
