"""P2, P2a, P2b: collections created, with the CPU and the commits that each takes; beside Express and SQL rows."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import accounting
from benchmarks.contest import CONNECTIONS, Contest, contest
from benchmarks.ground import Ground
from benchmarks.http_load import Loaded
from benchmarks.measure import Figure, median

NAMES = ("service", "edge", "peer")
FOLLOWING = ("collections", "generation")
"""The databases in which a creation is recorded."""
ROUNDS = 3


@dataclass
class Measured:
    """The measurements of one target, over all rounds."""

    loads: list[Loaded] = field(default_factory=list)
    cpu: float = 0.0
    behind: float = 0.0
    """The longest wait in seconds, after the last answer of a round, until all followers had caught up."""

    @property
    def answered(self) -> int:
        return sum(load.statuses[201] for load in self.loads)

    @property
    def rate(self) -> float:
        return median([load.rate for load in self.loads])

    @property
    def p50(self) -> float:
        total = Loaded()
        for load in self.loads:
            total += load
        return total.p50

    @property
    def cpu_ms(self) -> float:
        return 1e3 * self.cpu / self.answered


@dataclass
class Phase:
    measured: dict[str, Measured]
    commits: dict[str, float]
    """Per creation and database, beyond what the set commits while it is idle; of the peer, under `peer`."""


def measure(contest: Contest, connections: int, seconds: float, books: "Books") -> Phase:
    measured = {name: Measured() for name in NAMES}
    books.open()
    for _ in range(ROUNDS):
        for name in NAMES:
            loaded, used, behind = contest.create_and_follow(name, seconds / ROUNDS, connections)
            measured[name].loads.append(loaded)
            measured[name].cpu += used.cpu
            measured[name].behind = max(measured[name].behind, behind)
    ours = measured["service"].answered + measured["edge"].answered
    return Phase(measured, books.close({**dict.fromkeys(FOLLOWING, ours), "peer": measured["peer"].answered}))


class Books:
    """Counts commits between two moments, at each of which all sessions have reported theirs."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._wait = ground, ground.size(accounting.STATISTICS_SECONDS, 1.0)
        self._rest: dict[str, float] = {}
        self._before: dict[str, int] = {}
        self._opened = 0.0

    def _read_commits(self) -> dict[str, int]:
        theirs = accounting.commits(self._ground.postgres.dsn(), ["express"])
        return accounting.commits(self._ground.running.file.postgres_url, FOLLOWING) | {"peer": theirs["express"]}

    def open(self) -> None:
        """Begins to count; the first time, it also measures the commits per second of the idle set."""
        if not self._rest:
            time.sleep(self._wait)
            first, began = self._read_commits(), time.monotonic()
            time.sleep(self._wait)
            second, took = self._read_commits(), time.monotonic() - began
            self._rest = {name: (second[name] - first[name]) / took for name in second}
            self._before = second
            self._opened = time.monotonic()

    def close(self, created: dict[str, int]) -> dict[str, float]:
        """Commits per creation since `open`. The next count begins here."""
        time.sleep(self._wait)
        after, now = self._read_commits(), time.monotonic()
        passed, self._opened = now - self._opened, now
        before, self._before = self._before, after
        return {
            name: max(0.0, after[name] - before[name] - self._rest[name] * passed) / count
            for name, count in created.items()
        }


def run(ground: Ground) -> Iterator[Figure]:
    with contest(ground) as match:
        peer = match.peer
        for name in NAMES:
            match.create_and_follow(name, ground.size(2.0, 0.3), CONNECTIONS)  # projects are made, statements are known
        books = Books(ground)
        alone = measure(match, 1, ground.size(6.0, 1.0), books)
        many = measure(match, CONNECTIONS, ground.size(12.0, 1.5), books)
    yield from _rates(many, peer.name, peer.note)
    yield from _one(alone, peer.name)
    what = "CPU of all processes per creation"
    for connections, phase, limit in ((1, alone, 3.0), (CONNECTIONS, many, 1.5)):
        cpu, theirs = phase.measured["service"].cpu_ms, phase.measured["peer"].cpu_ms
        yield Figure("P2-CPU", f"{what}, connections: {connections}", cpu, "ms", peer.name, theirs, limit=limit)
    for connections, phase, limit in ((1, alone, 3.0), (CONNECTIONS, many, None)):
        yield Figure(
            "P2-COMMITS",
            f"commits per creation, connections: {connections}",
            sum(phase.commits[name] for name in FOLLOWING),
            "commits",
            peer.name,
            phase.commits["peer"],
            limit=limit,
            note=", ".join(f"{name} {phase.commits[name]:.1f}" for name in FOLLOWING),
        )


def _rates(many: Phase, peer: str, stand_in: str) -> Iterator[Figure]:
    service, edge, theirs = (many.measured[name] for name in NAMES)
    what = f"POST /projects/collections, {CONNECTIONS} connections"
    note = f"p50 {service.p50:.1f} ms; the last follower was done {service.behind:.1f} s after the last answer"
    note += f"; {stand_in}" if stand_in else ""
    yield Figure("P2", f"{what}, all followers running", service.rate, "/s", peer, theirs.rate, 1.0, note=note)
    yield Figure("P2b", f"{what}, through the edge", edge.rate, "/s", "the service itself", service.rate, 0.8)


def _one(alone: Phase, peer: str) -> Iterator[Figure]:
    service, edge, theirs = (alone.measured[name] for name in NAMES)
    yield Figure("P2a", "the same, 1 connection, p50", service.p50, "ms", peer, theirs.p50, most=1.2)
    what = "what the edge adds to it, 1 connection, p50"
    yield Figure("P2b", what, edge.p50 - service.p50, "ms", limit=1.0)
