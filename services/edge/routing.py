"""The public API's routes: which service handles which path, and which roles may call it.

Patterns are compared segment by segment: `{}` matches one segment, a final `**` any number. The first match applies.
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
    """`methods` None: any method. `roles` None: no token is needed."""

    pattern: str
    upstream: Upstream
    methods: frozenset[str] | None = None
    roles: frozenset[str] | None = USERS
    upload: bool = False
    """Accepts bodies up to the upload limit instead of the usual one."""
    body: int | None = None
    """The limit of a body in bytes, if it is neither the usual one nor that of uploads."""
    versioned: bool = False
    """Commands change what If-Match and If-None-Match are about: with one tag in If-Match, the service recognises a
    command that is repeated; with other conditions, its own success may fail them."""
    shared: bool = False
    """A stream of events that is read once for all its followers."""
    internal: bool = False
    """For workers: not part of the public document."""


RULES = (
    Rule("/collections", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/public", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/metadata", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/revisions", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/tokens", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/tokens/{}", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/tokens/{}/metadata", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/tokens/{}/image", Upstream.STORAGE, READS, roles=None),
    Rule("/collections/{}/tokens/{}/animation", Upstream.STORAGE, READS, roles=None),
    Rule("/collections/{}/tokens/{}/thumbnail", Upstream.STORAGE, READS, roles=None),
    Rule("/ipfs/**", Upstream.STORAGE, READS, roles=None),
    Rule("/feed", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/c/{}", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/c/{}/{}", Upstream.COLLECTIONS, READS, roles=None),
    Rule("/collections/{}/variables.csv", Upstream.COLLECTIONS, frozenset({"PUT"}), body=4 * 1024**2, versioned=True),
    Rule("/collections/{}/series", Upstream.COLLECTIONS, versioned=True),
    Rule("/collections/{}/preview", Upstream.COLLECTIONS, versioned=True),
    Rule("/collections/{}/publish", Upstream.COLLECTIONS, versioned=True),
    Rule("/collections/{}/archive", Upstream.COLLECTIONS, versioned=True),
    Rule("/collections/{}/restore", Upstream.COLLECTIONS, versioned=True),
    Rule("/collections/{}/generations", Upstream.GENERATION),
    Rule("/collections/{}/previews", Upstream.GENERATION, READS),
    Rule("/jobs/{}/events", Upstream.GENERATION, frozenset({"GET"}), shared=True),
    Rule("/jobs/**", Upstream.GENERATION),
    Rule("/workflows/**", Upstream.GENERATION),
    Rule("/models/**", Upstream.GENERATION),
    Rule("/workers", Upstream.GENERATION, READS, roles=frozenset({"operator"})),
    Rule("/projects/{}/collections/{}/**", Upstream.COLLECTIONS, versioned=True),
    Rule("/projects/**", Upstream.COLLECTIONS),
    Rule("/collections/**", Upstream.COLLECTIONS),
    Rule("/assets", Upstream.STORAGE, frozenset({"POST"}), upload=True),
    Rule("/assets/{}/content", Upstream.STORAGE, READS, roles=USERS | WORKERS),
    Rule("/assets/**", Upstream.STORAGE),
    Rule("/users/me/assets", Upstream.STORAGE),
    Rule("/uploads", Upstream.STORAGE, frozenset({"POST"}), roles=WORKERS, upload=True, internal=True),
    Rule("/credits/**", Upstream.CREDITS),
)


def segments_of(path: str) -> list[str] | None:
    """The segments of a decoded path, without empty ones, as the services' routers split it.

    None for a path with a segment `.` or `..`, which the edge and a service could resolve differently.
    """
    segments = [segment for segment in path.split("/") if segment]
    return None if "." in segments or ".." in segments else segments


class _Pattern:
    """A rule's pattern, prepared for matching."""

    def __init__(self, rule: Rule) -> None:
        segments = rule.pattern.strip("/").split("/")
        self.rule, self.head = rule, segments[0]
        self._is_open = segments[-1] == "**"
        self._length = len(segments) - self._is_open
        self._literals = [
            (index, segment) for index, segment in enumerate(segments) if index and segment not in {"{}", "**"}
        ]

    def matches(self, segments: list[str]) -> bool:
        """Whether the segments match; the first one has been compared by the table's index."""
        length = len(segments)
        if length != self._length and not (self._is_open and length > self._length):
            return False
        for index, literal in self._literals:  # noqa: SIM110 - a generator for each pattern costs more than the rest
            if segments[index] != literal:
                return False
        return True


class RoutingTable:
    """The rules, indexed by the first segment of their patterns."""

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self._by_head: dict[str, list[_Pattern]] = {}
        for pattern in map(_Pattern, rules):
            self._by_head.setdefault(pattern.head, []).append(pattern)

    def match(self, method: str, path: str) -> Rule | None:
        """The rule for a request with this decoded path; None if there is none."""
        segments = segments_of(path)
        if not segments:
            return None
        for pattern in self._by_head.get(segments[0], ()):
            if pattern.matches(segments) and (pattern.rule.methods is None or method in pattern.rule.methods):
                return pattern.rule
        return None
