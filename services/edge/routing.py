"""Which service answers which address, and who may ask: a pure table of the public API.

Patterns are segment by segment: `{}` is any one segment, a last `**` any number of them. The first rule that fits wins.
"""

from dataclasses import dataclass
from enum import StrEnum

USERS = frozenset({"user", "operator"})
WORKERS = frozenset({"worker"})
READS = frozenset({"GET", "HEAD"})


class Upstream(StrEnum):
    COLLECTIONS = "collections"
    GENERATION = "generation"
    CREDITS = "credits"
    STORAGE = "storage"


@dataclass(frozen=True)
class Rule:
    """Requests to `pattern` go to `upstream`; `roles` None means that anyone may ask, without a token."""

    pattern: str
    upstream: Upstream
    methods: frozenset[str] | None = None
    roles: frozenset[str] | None = USERS
    upload: bool = False
    """Takes bodies up to the upload limit instead of the usual one."""
    body: int | None = None
    """Bytes of a body, where that is neither the usual limit nor the upload limit."""
    shared: bool = False
    """A stream of events that may be read once for several who follow it."""
    internal: bool = False
    """For workers: routed, but no part of the public document."""


RULES = (
    Rule("/collections", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/public", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/metadata", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/tokens/{}/metadata", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/feed", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/variables.csv", Upstream.COLLECTIONS, frozenset({"PUT"}), body=4 * 1024 * 1024),
    Rule("/collections/{}/generations", Upstream.GENERATION),
    Rule("/api/collections/generate", Upstream.GENERATION),
    Rule("/jobs/{}/events", Upstream.GENERATION, frozenset({"GET"}), shared=True),
    Rule("/jobs/**", Upstream.GENERATION),
    Rule("/workflows/**", Upstream.GENERATION),
    Rule("/projects/**", Upstream.COLLECTIONS),
    Rule("/collections/**", Upstream.COLLECTIONS),
    Rule("/feed", Upstream.COLLECTIONS),
    Rule("/assets", Upstream.STORAGE, frozenset({"POST"}), upload=True),
    Rule("/assets/{}/content", Upstream.STORAGE, READS, roles=USERS | WORKERS),
    Rule("/assets/**", Upstream.STORAGE),
    Rule("/users/me/assets", Upstream.STORAGE),
    Rule("/uploads", Upstream.STORAGE, frozenset({"POST"}), roles=WORKERS, upload=True, internal=True),
    Rule("/credits/**", Upstream.CREDITS),
)


def segments_of(path: str) -> list[str] | None:
    """The segments of a decoded path, without empty ones, as the services' routers see them.

    None for a path with `.` or `..` in it: it could mean one thing here and another one there.
    """
    segments = [segment for segment in path.split("/") if segment]
    return None if "." in segments or ".." in segments else segments


def _fits(pattern: list[str], segments: list[str]) -> bool:
    if pattern[-1] == "**":
        pattern = pattern[:-1]
        segments = segments[: len(pattern)]
    return len(pattern) == len(segments) and all(
        wanted in ("{}", given) for wanted, given in zip(pattern, segments, strict=True)
    )


class RoutingTable:
    """The rules, indexed by the first segment of their patterns."""

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self._by_head: dict[str, list[tuple[list[str], Rule]]] = {}
        for rule in rules:
            pattern = rule.pattern.strip("/").split("/")
            self._by_head.setdefault(pattern[0], []).append((pattern, rule))

    def match(self, method: str, path: str) -> Rule | None:
        """The rule for a request; None when no service has that address."""
        segments = segments_of(path)
        if not segments:
            return None
        for pattern, rule in self._by_head.get(segments[0], ()):
            if (rule.methods is None or method in rule.methods) and _fits(pattern, segments):
                return rule
        return None
