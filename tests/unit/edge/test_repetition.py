"""Which requests the edge may send twice: those that the services recognise, and those that nothing can fail."""

from collections.abc import Iterator

import pytest
from litestar import Router
from litestar.routes import HTTPRoute

from services.collections.routes import ROUTES as COLLECTIONS
from services.credits.routes import ROUTES as CREDITS
from services.edge.forwarding.repetition import ALWAYS, NEVER, Repetition, repetition_of
from services.edge.routing import READS, RoutingTable
from services.generation.routes import ROUTES as GENERATION
from services.storage.routes import ROUTES as STORAGE
from shared.http.etag import is_conditional

AFTER_BREAK = Repetition(after_break=True, beside=False)
KEY, ONE, LIST, ANY, WEAK = (
    (b"idempotency-key", b"k"),
    (b"if-match", b'"3"'),
    (b"if-match", b'"3", "4"'),
    (b"if-match", b"*"),
    (b"if-match", b'W/"3"'),
)
NONE = (b"if-none-match", b'"4"')


@pytest.mark.parametrize(
    ("method", "headers", "versioned", "plain"),
    [
        ("GET", (), ALWAYS, ALWAYS),
        ("HEAD", (NONE,), ALWAYS, ALWAYS),
        ("POST", (), NEVER, NEVER),
        ("POST", (KEY,), ALWAYS, ALWAYS),
        ("POST", (ONE,), ALWAYS, NEVER),
        ("POST", (ANY,), NEVER, NEVER),
        ("PUT", (), AFTER_BREAK, AFTER_BREAK),
        ("DELETE", (), AFTER_BREAK, AFTER_BREAK),
        ("PUT", (ONE,), ALWAYS, AFTER_BREAK),
        ("DELETE", (ONE,), ALWAYS, AFTER_BREAK),
        ("PUT", (ONE, NONE), ALWAYS, AFTER_BREAK),
        ("PUT", (NONE,), NEVER, AFTER_BREAK),
        ("PUT", (NONE, KEY), ALWAYS, ALWAYS),
        ("PUT", (LIST,), NEVER, AFTER_BREAK),
        ("PUT", (ONE, ONE), NEVER, AFTER_BREAK),
        ("PUT", (ANY,), NEVER, AFTER_BREAK),
        ("PUT", (WEAK,), NEVER, AFTER_BREAK),
    ],
)
def test_a_request_is_repeated_only_if_its_own_success_cannot_fail_it(
    method: str, headers: tuple[tuple[bytes, bytes], ...], versioned: Repetition, plain: Repetition
) -> None:
    """Beside another attempt only if the service recognises it, by its key, or by the one version that it changes."""
    assert repetition_of(method, headers, is_versioned=True) == versioned
    assert repetition_of(method, headers, is_versioned=False) == plain


def writes() -> Iterator[tuple[str, str, bool]]:
    """Each write of the services: its method, its path, and whether it is recognised by If-Match."""
    for route in Router("/", route_handlers=[*COLLECTIONS, *GENERATION, *CREDITS, *STORAGE]).routes:
        assert isinstance(route, HTTPRoute)
        for handler in route.route_handlers:
            recognises = is_conditional(handler) and handler.opt.get("if_match_repeats", True)
            for method in handler.http_methods - READS - {"OPTIONS"}:
                yield method, route.path_format, recognises


@pytest.mark.parametrize(("method", "path", "recognises"), sorted(writes()))
def test_the_edge_knows_which_writes_services_recognise_by_if_match(method: str, path: str, recognises: bool) -> None:  # noqa: FBT001 - a parameter of the test
    rule = RoutingTable().match(method, path)
    assert rule is not None
    assert rule.versioned == recognises
